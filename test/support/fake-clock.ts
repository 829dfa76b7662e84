/** The double of `Clock` that tests step: time stands still until `advance` moves it. */

import type { Clock, Timer } from "../../src/clock/clock.ts";

interface FakeTimer extends Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** A clock that starts at monotonic 0 and at a wall-clock time of the test's choice. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #realtimeNs: bigint;
  readonly #timers = new Set<FakeTimer>();

  /** `realtimeNs` is the wall-clock time at monotonic 0, 1970 unless given. */
  constructor(realtimeNs = 0n) {
    this.#realtimeNs = realtimeNs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  realtimeNs(): bigint {
    return this.#realtimeNs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timers = this.#timers;
    const timer: FakeTimer = {
      atMs: this.#nowMs + Math.max(delayMs, 0),
      fire,
      cancel: () => timers.delete(timer),
    };
    timers.add(timer);
    return timer;
  }

  /** The number of timers that are set: 0 once a piece of work has cleaned up after itself. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Let `ms` pass, firing each timer that falls due at its own moment, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#nextBy(untilMs); next !== undefined; next = this.#nextBy(untilMs)) {
      this.#timers.delete(next);
      this.#moveTo(next.atMs);
      next.fire();
    }
    this.#moveTo(untilMs);
  }

  /** Step the wall clock, forward or back, as an administrator or NTP would. */
  stepRealtime(ns: bigint): void {
    this.#realtimeNs += ns;
  }

  /** The earliest timer due by `untilMs`; of several, the one set first. */
  #nextBy(untilMs: number): FakeTimer | undefined {
    let earliest: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && timer.atMs < (earliest?.atMs ?? Infinity)) earliest = timer;
    }
    return earliest;
  }

  #moveTo(nowMs: number): void {
    this.#realtimeNs += BigInt(Math.round((nowMs - this.#nowMs) * 1e6));
    this.#nowMs = nowMs;
  }
}
