import { describe, expect, test } from "vitest";

import { Deadline, deadlineAfter, systemClock, systemClockWith } from "../../src/clock/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

describe("a fake clock", () => {
  test("a fake clock fires timers at their own moments, in order, and not before", () => {
    const clock = new FakeClock();
    const fired: [string, number][] = [];
    clock.setTimer(30, () => fired.push(["late", clock.monotonicMs()]));
    clock.setTimer(10, () => fired.push(["early", clock.monotonicMs()]));
    clock.setTimer(10, () => fired.push(["early too", clock.monotonicMs()]));
    clock.advance(9);
    expect(fired).toEqual([]);
    clock.advance(100);
    expect(fired).toEqual([
      ["early", 10],
      ["early too", 10],
      ["late", 30],
    ]);
    expect(clock.monotonicMs()).toBe(109);
  });

  test("a fake clock fires a timer that a timer set, if it falls due in the same step", () => {
    const clock = new FakeClock();
    const fired: number[] = [];
    clock.setTimer(5, () => clock.setTimer(5, () => fired.push(clock.monotonicMs())));
    clock.advance(10);
    expect(fired).toEqual([10]);
  });

  test("a fake clock does not fire a cancelled timer", () => {
    const clock = new FakeClock();
    const timer = clock.setTimer(5, () => expect.unreachable());
    timer.cancel();
    timer.cancel();
    expect(clock.pendingTimers).toBe(0);
    clock.advance(10);
  });

  test("a fake clock moves its wall clock along, and steps it without moving time", () => {
    const clock = new FakeClock(1_000n);
    clock.advance(1.5);
    expect(clock.realtimeNs()).toBe(1_501_000n);
    clock.stepRealtime(-501_000n);
    expect(clock.realtimeNs()).toBe(1_000_000n);
    expect(clock.monotonicMs()).toBe(1.5);
  });
});

describe("a deadline", () => {
  test("a deadline counts down to 0 and stays there", () => {
    const clock = new FakeClock();
    const deadline = new Deadline(clock, 100);
    expect([deadline.remainingMs(), deadline.hasPassed()]).toEqual([100, false]);
    clock.advance(60);
    expect(deadline.remainingMs()).toBe(40);
    clock.advance(60);
    expect([deadline.remainingMs(), deadline.hasPassed()]).toEqual([0, true]);
  });

  test("a deadline fires its timer when it passes", () => {
    const clock = new FakeClock();
    const deadline = deadlineAfter(clock, 20);
    clock.advance(5);
    let expiredAtMs = -1;
    deadline?.setTimer(() => (expiredAtMs = clock.monotonicMs()));
    clock.advance(50);
    expect(expiredAtMs).toBe(20);
  });

  test("a deadline is never for no timeout and for an infinite one", () => {
    expect(deadlineAfter(new FakeClock(), undefined)).toBeUndefined();
    expect(deadlineAfter(new FakeClock(), Infinity)).toBeUndefined();
    expect(deadlineAfter(new FakeClock(), 0)?.hasPassed()).toBe(true);
  });
});

describe("the system clock", () => {
  test("the system clock never fires early, even when the event loop lags", async () => {
    const startedMs = systemClock.monotonicMs();
    await new Promise<void>((resolve) => {
      while (systemClock.monotonicMs() - startedMs < 15);
      systemClock.setTimer(10, resolve);
    });
    expect(systemClock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(25);
  });

  test("the system clock takes delays that setTimeout turns into 1 ms", async () => {
    let hasFired = false;
    const timer = systemClock.setTimer(2 ** 31 + 5, () => (hasFired = true));
    await new Promise<void>((resolve) => systemClock.setTimer(5, resolve));
    timer.cancel();
    expect(hasFired).toBe(false);
  });

  test("the system clock fires a delay that is not positive, after setTimer has returned", async () => {
    let returned = false;
    await new Promise<void>((resolve) => {
      systemClock.setTimer(-5, () => {
        expect(returned).toBe(true);
        resolve();
      });
      returned = true;
    });
  });

  test("the system clock does not fire after a cancel", async () => {
    const timer = systemClock.setTimer(1, () => expect.unreachable());
    timer.cancel();
    await new Promise<void>((resolve) => systemClock.setTimer(5, resolve));
  });

  test("the system clock gives the wall-clock time, from another source if given one", () => {
    const nowMs = BigInt(Date.now());
    expect(systemClock.realtimeNs() / 1_000_000n - nowMs).toBeLessThan(1000n);
    expect(systemClockWith(() => 42n).realtimeNs()).toBe(42n);
  });
});
