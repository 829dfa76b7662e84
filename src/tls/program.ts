/** The cleartext side of a tunnel: the pipe a program writes to, and the one it reads from. */

import { SystemError } from "../posix/index.ts";
import type { Posix, Readiness, Watch } from "../posix/index.ts";
import type { Ends } from "./wire.ts";

const BUFFER_BYTES = 65_536;

/** Buffers that are not in use, for all tunnels: only those that just move data hold one. */
const SPARE: Buffer[] = [];
const SPARE_MAX = 16;

export interface ProgramEvents {
  /** Bytes went in or out. */
  moved(): void;
  /** The program wrote something: call `taken` when the bytes are needed no longer. */
  arrived(bytes: Uint8Array, taken: () => void): void;
  /** The program has closed its output, and everything that arrived was taken. */
  closed(): void;
  /** The program has closed its input. */
  stoppedReading(): void;
  /** What had to wait has been written: there is room for more. */
  hasRoom(): void;
  /** The program has got everything that it wanted, and has been shown the end. */
  delivered(): void;
}

export class Program {
  readonly #posix: Posix;
  readonly #ends: Ends;
  readonly #events: ProgramEvents;
  readonly #output: Watch;
  readonly #input: Watch;
  #isOutputOpen = true;
  #isInputOpen = true;
  #isEnding = false;
  /** What the program wrote last is on its way. */
  #isTaking = false;
  #pending: Uint8Array | undefined;

  /** `read` is what the program writes to. Both are nonblocking, and its own from now on. */
  constructor(posix: Posix, ends: Ends, events: ProgramEvents) {
    this.#posix = posix;
    this.#ends = ends;
    this.#events = events;
    this.#output = posix.watch(ends.read, {}, () => this.#receive());
    this.#input = posix.watch(ends.write, {}, (ready) => this.#ready(ready));
  }

  start(): void {
    this.#output.update({ readable: true });
    this.#input.update({ hangup: true });
  }

  /** Give the program bytes; false when it is to get no more until `hasRoom`. */
  deliver(bytes: Uint8Array): boolean {
    if (!this.#isInputOpen) return true;
    const left = this.#write(bytes);
    if (left === undefined) return true;
    this.#pending = left;
    this.#input.update({ writable: true });
    return false;
  }

  /** Show the program the end of its input, once it has got everything. */
  endDelivery(): void {
    this.#isEnding = true;
    if (this.#pending === undefined) this.#endNow();
  }

  /** Show the program the end of its input, whatever it has not got yet. */
  closeInput(): void {
    if (!this.#isInputOpen) return;
    this.#isInputOpen = false;
    this.#pending = undefined;
    this.#input.close();
    this.#posix.close(this.#ends.write);
  }

  /** Take no more of what the program writes. */
  closeOutput(): void {
    if (!this.#isOutputOpen) return;
    this.#isOutputOpen = false;
    this.#output.close();
    this.#posix.close(this.#ends.read);
  }

  #receive(): void {
    if (this.#isTaking) {
      this.#output.update({}); // until it is taken; mostly it is before there is more
      return;
    }
    const buffer = SPARE.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    const count = this.#attempt(() => this.#posix.read(this.#ends.read, buffer));
    if (count === undefined || count === "failed" || count === 0) {
      giveBack(buffer);
      if (count !== undefined) this.#outputEnded();
      return;
    }
    this.#events.moved();
    this.#isTaking = true;
    this.#events.arrived(buffer.subarray(0, count), () => {
      giveBack(buffer);
      this.#isTaking = false;
      this.#output.update({ readable: true });
    });
  }

  #outputEnded(): void {
    this.closeOutput();
    this.#events.closed();
  }

  #ready({ hangup }: Readiness): void {
    if (hangup) {
      this.#inputLost();
      return;
    }
    const left = this.#pending === undefined ? undefined : this.#write(this.#pending);
    if (!this.#isInputOpen) return;
    this.#pending = left;
    if (left !== undefined) return;
    this.#input.update({ hangup: true });
    if (this.#isEnding) this.#endNow();
    else this.#events.hasRoom();
  }

  /** What could not be written yet. */
  #write(bytes: Uint8Array): Uint8Array | undefined {
    const count = this.#attempt(() => this.#posix.write(this.#ends.write, bytes));
    if (count === "failed") {
      this.#inputLost();
      return undefined;
    }
    if (count === undefined) return bytes;
    this.#events.moved();
    return count < bytes.length ? bytes.subarray(count) : undefined;
  }

  #inputLost(): void {
    this.closeInput();
    if (this.#isEnding) this.#events.delivered();
    else this.#events.stoppedReading();
  }

  #endNow(): void {
    this.closeInput();
    this.#events.delivered();
  }

  #attempt(call: () => number | undefined): number | undefined | "failed" {
    try {
      return call();
    } catch (error) {
      if (error instanceof SystemError) return "failed";
      throw error;
    }
  }
}

function giveBack(buffer: Buffer): void {
  if (SPARE.length < SPARE_MAX) SPARE.push(buffer);
}
