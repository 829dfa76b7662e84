/** Messages on their way into a pipe that may be full. */

import type { Fd, Posix, Watch } from "../../posix/index.ts";
import { formatFrame } from "./frames.ts";

/** With more bytes than these waiting, the reader is slow. */
const SLOW_BYTES = 1 << 20;

/** Writes without waiting; the rest of what there is room for waits in memory. */
export class FrameSender {
  readonly #posix: Posix;
  readonly #fd: Fd;
  readonly #events: { readonly drained: () => void; readonly failed: (error: unknown) => void };
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #watch: Watch | undefined;

  /** `drained` is called when a slow reader has read all; `failed` when one is gone. */
  constructor(
    posix: Posix,
    fd: Fd,
    events: { drained: () => void; failed: (error: unknown) => void },
  ) {
    this.#posix = posix;
    this.#fd = fd;
    this.#events = events;
  }

  get isSlow(): boolean {
    return this.#waitingBytes > SLOW_BYTES;
  }

  send(body: Uint8Array): void {
    const frame = formatFrame(body);
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#watch === undefined) this.#write();
  }

  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
    this.#waiting = [];
  }

  #write(): void {
    try {
      while (this.#waiting.length > 0) {
        const [first = new Uint8Array(0)] = this.#waiting;
        const count = this.#posix.write(this.#fd, first);
        if (count === undefined) break;
        this.#waitingBytes -= count;
        if (count === first.length) this.#waiting.shift();
        else this.#waiting[0] = first.subarray(count);
      }
    } catch (error) {
      this.close();
      this.#events.failed(error);
      return;
    }
    this.#awaitRoom();
  }

  #awaitRoom(): void {
    if (this.#waiting.length > 0) {
      this.#watch ??= this.#posix.watch(this.#fd, { writable: true }, () => this.#write());
      return;
    }
    const wasWaiting = this.#watch !== undefined;
    this.#watch?.close();
    this.#watch = undefined;
    if (wasWaiting) this.#events.drained();
  }
}
