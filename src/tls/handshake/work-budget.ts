/** A share of the time for work that strangers can cause: what is left of it decides, not how many asked. */

import type { Clock } from "../../clock/index.ts";

export interface WorkBudgetOptions {
  /** The part of the time that the work may take in the long run, 0 to 1. */
  readonly share: number;
  /** The milliseconds of work that may be saved up; so many are there at the beginning. */
  readonly savedMsMax: number;
}

export class WorkBudget {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #options: WorkBudgetOptions;
  /** Milliseconds of work; below 0 after work that took more than there was. */
  #savedMs: number;
  #countedMs: number;

  constructor(clock: Pick<Clock, "monotonicMs">, options: WorkBudgetOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#savedMs = options.savedMsMax;
    this.#countedMs = clock.monotonicMs();
  }

  /** Do the work, and take its time from the budget; undefined, and nothing is done, while that is empty. */
  spend<T>(work: () => T): T | undefined {
    const { share, savedMsMax } = this.#options;
    const startMs = this.#clock.monotonicMs();
    const earnedMs = share * (startMs - this.#countedMs);
    this.#savedMs = Math.min(savedMsMax, this.#savedMs + earnedMs);
    this.#countedMs = startMs;
    if (this.#savedMs <= 0) return undefined;
    try {
      return work();
    } finally {
      this.#savedMs -= this.#clock.monotonicMs() - startMs;
    }
  }
}
