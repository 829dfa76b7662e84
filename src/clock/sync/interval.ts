/**
 * The offset of our clock, from exchanges with a server. Each exchange proves two things:
 * the server received the request after we sent it, and we received its answer after it was sent. So
 * the offset is at most `received - sent` and at least `replied - returned`, and several exchanges
 * narrow the interval down from both sides. No exchange is trusted more than that.
 */

import type { Tai } from "../index.ts";

/** The four instants of one exchange: ours by our clock, the server's by its own. */
export interface Exchange {
  readonly sent: Tai;
  readonly received: Tai;
  readonly replied: Tai;
  readonly returned: Tai;
}

export class OffsetInterval {
  #low: bigint;
  #high: bigint;

  /** Offsets beyond `mostNs`, to either side, are not believed. */
  constructor(mostNs: bigint) {
    this.#low = -mostNs;
    this.#high = mostNs;
  }

  /** Take an exchange into account; a bound that contradicts the interval is left out of it. */
  narrow({ sent, received, replied, returned }: Exchange): void {
    const upper = received - sent;
    if (this.#low <= upper && upper <= this.#high) this.#high = upper;
    const lower = replied - returned;
    if (this.#low <= lower && lower <= this.#high) this.#low = lower;
  }

  /** Nanoseconds to add to our clock: the middle of the interval. */
  get offsetNs(): bigint {
    return (this.#low + this.#high) / 2n;
  }

  /** The width of the interval. */
  get uncertaintyNs(): bigint {
    return this.#high - this.#low;
  }
}
