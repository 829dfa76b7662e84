/**
 * Taking a header off a connection: exactly its bytes, whatever they come with and in however many pieces.
 * The connection stays blocking all the while, as the program expects it: a socket is looked into without
 * taking anything (MSG_PEEK), and what turns out to be part of the header is read, which then cannot wait.
 * Anything but a socket is read when it is ready, at most as far as the header certainly goes.
 */

import { deadlineAfter } from "../clock/index.ts";
import type { Clock } from "../clock/index.ts";
import { errnoOf } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { PROXY_V1_BYTES_MIN } from "./header.ts";
import type { Progress, ProxyHeader, ProxyVersion } from "./header.ts";
import { parseProxy } from "./parse.ts";

/** The result of waiting for a header. */
export type Arrived =
  | { readonly kind: "header"; readonly header: ProxyHeader }
  /** Something else came. What of it was taken before that was known was the start of a header. */
  | { readonly kind: "invalid"; readonly why: string }
  /** Nothing whole came, by errno name: EPIPE is the end of the connection, ETIMEDOUT of the time. */
  | { readonly kind: "failed"; readonly code: string };

export interface ProxyReadOptions {
  readonly clock: Clock;
  /** The time that the whole header may take; undefined is without limit. */
  readonly timeoutMs: number | undefined;
  /** Accept this version only. */
  readonly only: ProxyVersion | undefined;
}

/**
 * Read a header; at once where a socket has all of it already. Throws SystemError, or rejects with it,
 * where the descriptor cannot be waited for.
 */
export function readProxyHeader(
  posix: Posix,
  fd: Fd,
  options: ProxyReadOptions,
): Arrived | Promise<Arrived> {
  const arrival = new Arrival(posix, fd, options);
  return arrival.proceed() ?? arrival.wait();
}

const ENDED: Arrived = { kind: "failed", code: "EPIPE" };
const TIMED_OUT: Arrived = { kind: "failed", code: "ETIMEDOUT" };

/** Enough for all but long headers; for these the room doubles as the bytes come. */
const ROOM_BYTES = 256;

/** One header on its way. */
class Arrival {
  readonly #posix: Posix;
  readonly #fd: Fd;
  readonly #options: ProxyReadOptions;
  #bytes: Uint8Array = Buffer.allocUnsafe(ROOM_BYTES);
  /** The number of bytes taken off the connection, all of them the header's. */
  #taken = 0;
  /** For what is no socket: how many of the bytes to come are certainly the header's. */
  #wanted: number | undefined;

  constructor(posix: Posix, fd: Fd, options: ProxyReadOptions) {
    this.#posix = posix;
    this.#fd = fd;
    this.#options = options;
  }

  /** All that can be done without waiting; undefined when something has to come first. */
  proceed(): Arrived | undefined {
    try {
      return this.#wanted === undefined ? this.#lookAndTake() : this.#read(this.#wanted);
    } catch (error) {
      const code = errnoOf(error);
      if (code === undefined) throw error;
      if (code !== "ENOTSOCK") return { kind: "failed", code };
      this.#wanted = PROXY_V1_BYTES_MIN; // no header is shorter
      return undefined;
    }
  }

  wait(): Promise<Arrived> {
    const { clock, timeoutMs } = this.#options;
    const deadline = deadlineAfter(clock, timeoutMs);
    return new Promise((resolve) => {
      const watch = this.#posix.watch(this.#fd, { readable: true }, () => {
        const arrived = this.proceed();
        if (arrived !== undefined) end(arrived);
      });
      const timer = deadline?.setTimer(() => end(TIMED_OUT));
      function end(arrived: Arrived): void {
        timer?.cancel();
        watch.close();
        resolve(arrived);
      }
    });
  }

  #lookAndTake(): Arrived | undefined {
    for (;;) {
      const count = this.#posix.peek(this.#fd, this.#bytes.subarray(this.#taken));
      if (count === undefined) return undefined;
      if (count === 0) return ENDED;
      const progress = this.#parse(this.#taken + count);
      if (progress.kind === "invalid") return progress;
      const isDone = progress.kind === "done";
      const end = isDone ? progress.bytesUsed : this.#taken + count;
      this.#taken += this.#posix.read(this.#fd, this.#bytes.subarray(this.#taken, end)) ?? 0;
      if (isDone) return { kind: "header", header: progress.header };
      this.#makeRoom();
    }
  }

  #read(wanted: number): Arrived | undefined {
    const room = this.#bytes.subarray(this.#taken, this.#taken + wanted);
    const count = this.#posix.read(this.#fd, room);
    if (count === undefined) return undefined;
    if (count === 0) return ENDED;
    this.#taken += count;
    const progress = this.#parse(this.#taken);
    if (progress.kind === "invalid") return progress;
    if (progress.kind === "done") return { kind: "header", header: progress.header };
    this.#wanted = progress.bytesWanted;
    this.#makeRoom();
    return undefined;
  }

  #parse(end: number): Progress {
    return parseProxy(this.#bytes.subarray(0, end), this.#options.only);
  }

  #makeRoom(): void {
    if (this.#taken < this.#bytes.length) return;
    const bytes = new Uint8Array(2 * this.#bytes.length);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
