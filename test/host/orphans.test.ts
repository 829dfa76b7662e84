import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { OrphanReaper } from "../../src/host/index.ts";
import { joinBlock } from "../../src/posix/index.ts";
import type { Pid, SpawnRequest } from "../../src/posix/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

const REQUEST: SpawnRequest = {
  files: joinBlock(["/bin/true"]),
  argv: joinBlock(["true"]),
  environment: joinBlock([]),
  descriptors: [],
};

const PASSING_MS = 10_000;

function newWorld() {
  const posix = new FakePosix();
  const clock = new FakeClock();
  const ours = new Set<Pid>();
  let raise = (): void => undefined;
  const reaper = new OrphanReaper({
    posix,
    clock,
    signals: {
      on(_, handler) {
        raise = () => handler("SIGCHLD");
        return () => (raise = () => undefined);
      },
    },
    isOurs: (pid) => ours.has(pid),
  });
  /** A child that ends at once. */
  function endedChild(): Pid {
    const { pid } = posix.spawn(REQUEST);
    posix.child(pid).exit(0);
    return pid;
  }
  /** Those that were not reaped. */
  const zombies = (): Pid[] =>
    posix.children.map(({ pid }) => pid).filter((pid) => posix.isSpawned(pid));
  return { posix, clock, ours, reaper, endedChild, zombies, raise: () => raise() };
}

test.each([true, false])(
  "thousands of orphans are reaped, whether or not /proc is there: %s",
  (hasProc) => {
    const { posix, clock, reaper, endedChild, zombies, raise } = newWorld();
    posix.hasProc = hasProc;
    reaper.start();
    clock.advance(PASSING_MS);
    for (let count = 0; count < 3_000; count += 1) endedChild();
    raise();
    clock.advance(PASSING_MS);
    expect(zombies()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  },
);

test("children that were there before the start are reaped without a signal", () => {
  const { clock, reaper, endedChild, zombies } = newWorld();
  endedChild();
  reaper.start();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([]);
});

test("a child of ours is left, and hides no orphan behind it", () => {
  const { clock, ours, reaper, endedChild, zombies } = newWorld();
  const own = endedChild();
  ours.add(own);
  endedChild();
  reaper.start();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([own]);
});

test("an orphan that still runs is reaped when it has ended", () => {
  const { posix, clock, reaper, zombies, raise } = newWorld();
  const { pid } = posix.spawn(REQUEST);
  reaper.start();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([pid]);
  posix.child(pid).exit(0);
  raise();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([]);
});

test("a child of Node's child_process is left to Node", async () => {
  const { posix, clock, reaper, zombies } = newWorld();
  const child = spawn("true");
  // The same pid in the kernel of this test: Node's is not to be reaped there.
  const { pid } = posix.spawn(REQUEST);
  posix.child(pid).exit(0);
  Object.defineProperty(child, "pid", { value: pid });
  reaper.start();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([pid]);
  await once(child, "exit");
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([]);
});

test("nothing is reaped after the stop", () => {
  const { clock, reaper, endedChild, zombies, raise } = newWorld();
  reaper.start();
  reaper.stop();
  const orphan = endedChild();
  raise();
  clock.advance(PASSING_MS);
  expect(zombies()).toEqual([orphan]);
  expect(clock.pendingTimers).toBe(0);
});
