/** A watch of the fake kernel, which tests make ready. */

import type { Interest, Readiness, Watch } from "../../../src/posix/posix.ts";

/** The part of a readiness that somebody asked for; undefined when nothing is left. */
export function wanted(readiness: Readiness, interest: Interest): Readiness | undefined {
  const readable = readiness.readable && interest.readable === true;
  const writable = readiness.writable && interest.writable === true;
  if (!readable && !writable && !readiness.hangup) return undefined;
  return { readable, writable, hangup: readiness.hangup };
}

export class FakeWatch implements Watch {
  #interest: Interest;
  readonly #ready: (readiness: Readiness) => void;
  readonly #closed: () => void;

  constructor(interest: Interest, ready: (readiness: Readiness) => void, closed: () => void) {
    this.#interest = interest;
    this.#ready = ready;
    this.#closed = closed;
  }

  update(interest: Interest): void {
    this.#interest = interest;
  }

  /** A test has no loop to keep alive. */
  keepAlive(): void {
    return undefined;
  }

  close(): void {
    this.#interest = {};
    this.#closed();
  }

  deliver(readiness: Readiness): boolean {
    const { readable = false, writable = false, hangup = false } = this.#interest;
    if (!readable && !writable && !hangup) return false;
    const due = wanted(readiness, this.#interest);
    if (due === undefined) return false;
    this.#ready(due);
    return true;
  }
}
