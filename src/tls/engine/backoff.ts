/** The backoff before an engine that has ended is replaced: at once at first, then with growing delays. */

/** An engine that lives this long was a good one. */
export const STABLE_MS = 10_000;

const FIRST_DELAY_MS = 100;
/** The longest time without an engine. */
export const DELAY_MS_MAX = 5_000;

export class Backoff {
  #endsInARow = 0;
  #nextStartMs = -Infinity;

  /** The number of engines in a row that have ended soon after their start. */
  get endsInARow(): number {
    return this.#endsInARow;
  }

  /** An engine has ended. The first one is replaced at once, each further one later than the one before. */
  ended(startedMs: number, nowMs: number): void {
    this.#endsInARow = nowMs - startedMs < STABLE_MS ? this.#endsInARow + 1 : 0;
    if (this.#endsInARow < 2) return;
    const delayMs = FIRST_DELAY_MS * 2 ** (this.#endsInARow - 2);
    this.#nextStartMs = nowMs + Math.min(delayMs, DELAY_MS_MAX);
  }

  /** The time until the next one may be started; 0 for now. */
  remainingMs(nowMs: number): number {
    return Math.max(0, this.#nextStartMs - nowMs);
  }
}
