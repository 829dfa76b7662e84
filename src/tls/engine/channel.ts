/**
 * One end of the socket between a server and its engine: whole messages with their descriptors, in
 * order. What the kernel has no room for waits here.
 */

import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix, Watch } from "../../posix/index.ts";
import { MESSAGE_BYTES_MAX } from "./messages.ts";

export interface ChannelEvents {
  received(bytes: Uint8Array, fds: readonly Fd[]): void;
  /** The other end is gone. The channel is closed. */
  closed(): void;
}

interface Outgoing {
  readonly bytes: Uint8Array;
  readonly fds: readonly Fd[];
}

/** The number of messages that are read at a time, so that everything else gets its turn. */
const BATCH = 16;

const INPUT = Buffer.allocUnsafeSlow(MESSAGE_BYTES_MAX);

export class Channel {
  readonly #posix: Posix;
  readonly #fd: Fd;
  readonly #events: ChannelEvents;
  readonly #watch: Watch;
  #waiting: Outgoing[] = [];
  #isOpen = true;

  /** `fd` is a nonblocking seqpacket socket, and the channel's own from now on. */
  constructor(posix: Posix, fd: Fd, events: ChannelEvents) {
    this.#posix = posix;
    this.#fd = fd;
    this.#events = events;
    this.#watch = posix.watch(fd, { readable: true }, ({ writable, readable, hangup }) => {
      if (writable) this.#sendWaiting();
      if (readable || hangup) this.#receive();
    });
  }

  /** Send a message. Its descriptors are the channel's from now on, and closed once they are sent. */
  send(bytes: Uint8Array, fds: readonly Fd[] = []): void {
    if (!this.#isOpen) {
      this.#closeAll(fds);
      return;
    }
    this.#waiting.push({ bytes, fds });
    if (this.#waiting.length === 1) this.#sendWaiting();
  }

  /** Does listening to the other end keep the program alive? It does unless it is told otherwise. */
  keepAlive(isWanted: boolean): void {
    if (this.#isOpen) this.#watch.keepAlive(isWanted);
  }

  /** Receive what has come, or notice that the other end has gone, before the event loop tells of it. */
  check(): void {
    if (!this.#isOpen) return;
    const ready = this.#posix.waitReady(this.#fd, { readable: true }, 0);
    if (ready !== undefined) this.#receive();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch.close();
    this.#posix.close(this.#fd);
    for (const { fds } of this.#waiting.splice(0)) this.#closeAll(fds);
    this.#events.closed();
  }

  #sendWaiting(): void {
    let sent = 0;
    for (const { bytes, fds } of this.#waiting) {
      const count = this.#attempt(() => this.#posix.sendMessage(this.#fd, bytes, fds));
      if (count === "failed") {
        this.close();
        return;
      }
      if (count === undefined) break;
      this.#closeAll(fds);
      sent += 1;
    }
    this.#waiting.splice(0, sent);
    this.#wait();
  }

  #wait(): void {
    this.#watch.update({ readable: true, writable: this.#waiting.length > 0 });
  }

  #receive(): void {
    for (let count = 0; count < BATCH && this.#isOpen; count += 1) {
      const message = this.#attempt(() => this.#posix.receiveMessage(this.#fd, INPUT));
      if (message === undefined) return;
      if (message === "failed" || message.bytes === 0) {
        this.close();
        return;
      }
      this.#events.received(INPUT.subarray(0, message.bytes), message.fds);
    }
  }

  #closeAll(fds: readonly Fd[]): void {
    for (const fd of fds) this.#posix.close(fd);
  }

  #attempt<T>(call: () => T): T | "failed" {
    try {
      return call();
    } catch (error) {
      if (error instanceof SystemError) return "failed";
      throw error;
    }
  }
}
