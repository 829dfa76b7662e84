/** The cleartext side of a tunnel: the pipe a program writes to, and the one it reads from. */

import { afterBytes, SystemError, WRITEV_BUFFERS_MAX } from "../../posix/index.ts";
import type { Posix, Readiness, Watch } from "../../posix/index.ts";
import type { Ends } from "./wire.ts";

/** The capacity of a pipe (pipe(7)). */
const PIPE_BYTES = 65_536;

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
  /** The program does not read as fast as it is given: it is to get no more until `hasRoom`. */
  isFull(): void;
  /** The queued bytes have been written: there is room for more. */
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
  /** Bytes of the program that are on their way, and are the last where it is to give no more. */
  #taking: "nothing" | "bytes" | "lastBytes" = "nothing";
  /** Bytes queued for the program: of this turn of the event loop, or because it does not read. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #waitsFor: "nothing" | "endOfTurn" | "room" = "nothing";

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

  /**
   * Give the program bytes. What is decrypted in one turn of the event loop, a record at a time, leaves
   * with one system call at its end, and wakes the program once; or as soon as it fills the pipe.
   */
  deliver(bytes: Uint8Array): void {
    if (!this.#isInputOpen) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitsFor === "room") return;
    if (this.#waitingBytes >= PIPE_BYTES || this.#waiting.length >= WRITEV_BUFFERS_MAX) {
      this.#flush();
    } else if (this.#waitsFor === "nothing") {
      this.#waitsFor = "endOfTurn";
      queueMicrotask(() => {
        if (this.#waitsFor === "endOfTurn") this.#flush();
      });
    }
  }

  /** Show the program the end of its input, once it has got everything. */
  endDelivery(): void {
    this.#isEnding = true;
    if (this.#waiting.length === 0) this.#endNow();
  }

  /** Show the program the end of its input, whatever it has not got yet. */
  closeInput(): void {
    if (!this.#isInputOpen) return;
    if (this.#waitsFor === "endOfTurn") this.#writeWaiting();
    this.#isInputOpen = false;
    this.#waitsFor = "nothing";
    this.#waiting = [];
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

  /** Take no more of what the program writes; `closed` tells when all that it wrote before is taken. */
  endOutput(): void {
    if (!this.#isOutputOpen) return;
    this.closeOutput();
    if (this.#taking === "nothing") this.#events.closed();
    else this.#taking = "lastBytes";
  }

  #receive(): void {
    if (this.#taking !== "nothing") {
      this.#output.update({}); // until it is taken; mostly it is before there is more
      return;
    }
    const buffer = SPARE.pop() ?? Buffer.allocUnsafeSlow(PIPE_BYTES);
    const count = this.#attempt(() => this.#posix.read(this.#ends.read, buffer));
    if (count === undefined || count === "failed" || count === 0) {
      giveBack(buffer);
      if (count !== undefined) this.#outputEnded();
      return;
    }
    this.#events.moved();
    this.#taking = "bytes";
    this.#events.arrived(buffer.subarray(0, count), () => {
      giveBack(buffer);
      const wereLast = this.#taking === "lastBytes";
      this.#taking = "nothing";
      if (wereLast) this.#events.closed();
      else this.#output.update({ readable: true });
    });
  }

  #outputEnded(): void {
    this.closeOutput();
    this.#events.closed();
  }

  #ready({ hangup }: Readiness): void {
    if (hangup) this.#inputLost();
    else this.#flush();
  }

  #flush(): void {
    if (!this.#writeWaiting()) {
      this.#inputLost();
      return;
    }
    const wasFull = this.#waitsFor === "room";
    const isFull = this.#waiting.length > 0;
    this.#waitsFor = isFull ? "room" : "nothing";
    this.#input.update(isFull ? { writable: true } : { hangup: true });
    if (isFull && !wasFull) this.#events.isFull();
    else if (!isFull && this.#isEnding) this.#endNow();
    else if (!isFull && wasFull) this.#events.hasRoom();
  }

  /** Write what there is room for; false when it has no reader any more. */
  #writeWaiting(): boolean {
    const count = this.#attempt(() => this.#posix.writev(this.#ends.write, this.#waiting));
    if (count === "failed") return false;
    if (count === undefined) return true;
    this.#events.moved();
    this.#waiting = afterBytes(this.#waiting, count);
    this.#waitingBytes -= count;
    return true;
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
