/**
 * Time as an argument: the clock that libraries are given instead of `Date.now()` and `setTimeout`,
 * and the deadline that one invocation shares among all its waits (the `deadline` and `stamp` of
 * skalibs). Only `systemClock` reads the machine's clocks; tests step a `FakeClock`.
 */

/** A timer under way. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/** The two clocks of a machine, and timers on the first of them. */
export interface Clock {
  /** Milliseconds, with a fraction, since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Nanoseconds since 1970 as the wall clock tells it; may jump either way. */
  realtimeNs(): bigint;
  /**
   * Call `fire` once, no earlier than `delayMs` from now and never before this call has returned. A
   * delay may have any length; one that is not positive means as soon as possible. A pending timer
   * keeps the event loop alive.
   */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** The longest delay that setTimeout takes; it turns a longer one into 1 ms. */
const NODE_TIMER_MS_MAX = 0x7fff_ffff;

const NS_PER_MS = 1_000_000n;

/** The machine's clocks. Its wall clock has the resolution of `Date.now()`: 1 ms. */
export const systemClock: Clock = systemClockWith(() => BigInt(Date.now()) * NS_PER_MS);

/**
 * The machine's clocks with another source of wall-clock time, for those who need more than
 * milliseconds: `systemClockWith(() => posix.realtimeNs())`.
 */
export function systemClockWith(realtimeNs: () => bigint): Clock {
  return { monotonicMs: () => performance.now(), realtimeNs, setTimer: setSystemTimer };
}

/** The moment by which a piece of work has to be over; absent (undefined) means never. */
export class Deadline {
  /** On the clock's monotonic scale. */
  readonly atMs: number;
  readonly #clock: Clock;

  constructor(clock: Clock, atMs: number) {
    this.#clock = clock;
    this.atMs = atMs;
  }

  /** Milliseconds left, with a fraction; 0 once the deadline has passed. */
  remainingMs(): number {
    return Math.max(0, this.atMs - this.#clock.monotonicMs());
  }

  hasPassed(): boolean {
    return this.remainingMs() === 0;
  }

  /** Call `expire` when the deadline passes, unless the timer is cancelled first. */
  setTimer(expire: () => void): Timer {
    return this.#clock.setTimer(this.remainingMs(), expire);
  }
}

/** The deadline `timeoutMs` from now; undefined and Infinity mean never. */
export function deadlineAfter(clock: Clock, timeoutMs: number | undefined): Deadline | undefined {
  if (timeoutMs === undefined || timeoutMs === Infinity) return undefined;
  return new Deadline(clock, clock.monotonicMs() + timeoutMs);
}

/**
 * setTimeout counts from when the event loop last looked at its clock, hence early after a long
 * callback, and has a maximum. So a timer that comes early is set again for what is left.
 */
function setSystemTimer(delayMs: number, fire: () => void): Timer {
  const atMs = performance.now() + delayMs;
  let pending: NodeJS.Timeout;
  function arm(leftMs: number): void {
    pending = setTimeout(expire, Math.min(Math.max(Math.ceil(leftMs), 0), NODE_TIMER_MS_MAX));
  }
  function expire(): void {
    const leftMs = atMs - performance.now();
    if (leftMs > 0) arm(leftMs);
    else fire();
  }
  arm(delayMs);
  return { cancel: () => clearTimeout(pending) };
}
