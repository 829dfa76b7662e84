/**
 * Accepts connections from one listening socket: in batches, no more than there is room for, and
 * without a busy loop when the system is out of descriptors or memory.
 *
 * A fault in the handling of one connection does not keep the others of its batch from being handed on.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Accepted, Fd, Posix, Watch } from "../../posix/index.ts";

/** The most connections taken in one turn of the event loop, so that nothing else waits long. */
const BATCH_MAX = 8;

/** The delay after accept failed: it would only fail again. */
const RETRY_MS = 100;

export interface ListenerEvents {
  /** The number of connections for which there is room now. */
  room(): number;
  /** From here on the connection is the receiver's, who closes it. */
  accepted(connection: Accepted): void;
  /** accept(2) failed; told once until it works again. */
  failed(error: SystemError): void;
}

export class Listener {
  readonly fd: Fd;
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #events: ListenerEvents;
  #watch: Watch | undefined;
  #retry: Timer | undefined;
  #isFailing = false;

  constructor(fd: Fd, posix: Posix, clock: Clock, events: ListenerEvents) {
    this.fd = fd;
    this.#posix = posix;
    this.#clock = clock;
    this.#events = events;
  }

  start(): void {
    this.#watch = this.#posix.watch(this.fd, { readable: true }, () => this.#acceptBatch());
  }

  /** Leave new connections in the kernel's queue until `resume`. */
  pause(): void {
    this.#watch?.update({});
  }

  resume(): void {
    if (this.#retry !== undefined) return;
    try {
      this.#watch?.update({ readable: true });
    } catch (error) {
      // ENOMEM: the kernel cannot watch the socket again for now.
      if (!(error instanceof SystemError)) throw error;
      this.#backOff(error);
    }
  }

  /** Stop for good. The socket stays open: it is the caller's. */
  stop(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#watch?.close();
    this.#watch = undefined;
  }

  #acceptBatch(): void {
    const most = Math.min(this.#events.room(), BATCH_MAX);
    if (most <= 0) return;
    let batch: readonly Accepted[];
    try {
      batch = this.#posix.accept(this.fd, most);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#backOff(error);
      return;
    }
    if (batch.length > 0) this.#isFailing = false;
    this.#handOn(batch, 0);
  }

  /** Hand on the connections from index `from` on, all of them even if the handling of one throws. */
  #handOn(batch: readonly Accepted[], from: number): void {
    let at = from;
    try {
      for (; at < batch.length; at += 1) {
        const connection = batch[at];
        if (connection !== undefined) this.#events.accepted(connection);
      }
    } finally {
      if (at < batch.length) this.#handOn(batch, at + 1);
    }
  }

  #backOff(error: SystemError): void {
    if (!this.#isFailing) this.#events.failed(error);
    this.#isFailing = true;
    this.pause();
    this.#retry ??= this.#clock.setTimer(RETRY_MS, () => {
      this.#retry = undefined;
      if (this.#events.room() > 0) this.resume();
    });
  }
}
