import { describe, expect, test } from "vitest";
import { BIRTH_MS_MAX, ChildRegistry } from "../../src/host/index.ts";
import type { ChildEnd } from "../../src/host/index.ts";
import { joinBlock, SystemError } from "../../src/posix/index.ts";
import type { Child, Fd, SpawnRequest } from "../../src/posix/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

const REQUEST: SpawnRequest = {
  files: joinBlock(["/bin/true"]),
  argv: joinBlock(["true"]),
  environment: joinBlock([]),
  descriptors: [],
};

const SIGKILL = 9;
const KILLED = { kind: "killed", signal: SIGKILL, coreDumped: false } as const;

function newWorld() {
  const posix = new FakePosix();
  const clock = new FakeClock();
  const handlers = new Set<() => void>();
  const signals = {
    on(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals) => void) {
      const call = (): void => names.forEach((name) => handler(name));
      handlers.add(call);
      return () => void handlers.delete(call);
    },
  };
  const children = new ChildRegistry({ posix, clock, signals });
  return {
    posix,
    clock,
    children,
    /** How many listen for SIGCHLD. */
    listeners: () => handlers.size,
    raise: () => handlers.forEach((call) => call()),
  };
}

/** Spawn a child and watch it; the ends that are told, in order. */
function follow({ posix, children }: ReturnType<typeof newWorld>) {
  const child = posix.spawn(REQUEST);
  const ends: ChildEnd[] = [];
  children.watch(child, { ended: (end) => ends.push(end) });
  return { child, ends };
}

function withBirthHeld(world: ReturnType<typeof newWorld>) {
  world.posix.holdsBirths = true;
  const child = world.posix.spawn(REQUEST);
  const told: string[] = [];
  world.children.watch(child, {
    executed: () => told.push("executed"),
    ended: ({ unexecuted }) => told.push(`ended ${String(unexecuted)}`),
  });
  return { child, told };
}

describe("the end of a child", () => {
  test("is told once, and its pidfd is closed", () => {
    const world = newWorld();
    const before = world.posix.openFds.length;
    const { child, ends } = follow(world);
    expect(world.children.has(child.pid)).toBe(true);
    world.posix.child(child.pid).exit(3);
    world.posix.turn();
    world.posix.turn();
    expect(ends).toEqual([{ status: { kind: "exited", exitCode: 3 }, unexecuted: undefined }]);
    expect(world.posix.openFds).toHaveLength(before);
    expect(world.children.has(child.pid)).toBe(false);
    expect(world.clock.pendingTimers).toBe(0);
  });

  test("leaves no timer where only a child that keeps nothing alive is left", () => {
    const world = newWorld();
    const lasting = world.posix.spawn(REQUEST);
    world.children.watch(lasting, { ended: () => undefined }, { keepsAlive: false });
    const { child } = follow(world);
    expect(world.clock.pendingTimers).toBe(1);
    world.posix.child(child.pid).exit(0);
    world.posix.turn();
    expect(world.clock.pendingTimers).toBe(0);
    expect(world.children.has(lasting.pid)).toBe(true);
  });

  test("is learned from SIGCHLD where there is no pidfd, and nobody listens for it afterwards", () => {
    const world = newWorld();
    world.posix.hasPidfds = false;
    const [first, second] = [follow(world), follow(world)];
    world.posix.child(second.child.pid).exit(2);
    world.raise();
    expect([first.ends.length, second.ends.length]).toEqual([0, 1]);
    world.posix.child(first.child.pid).exit(1);
    world.raise();
    expect(first.ends).toHaveLength(1);
    expect(world.listeners()).toBe(0);
  });

  test("is learned without a signal when it came before anybody listened", () => {
    const world = newWorld();
    world.posix.hasPidfds = false;
    const { child, ends } = follow(world);
    world.posix.child(child.pid).exit(1);
    world.clock.advance(0);
    expect(ends).toHaveLength(1);
  });

  test("is learned from SIGCHLD where the pidfd cannot be watched, and the pidfd is closed", () => {
    const world = newWorld();
    const before = world.posix.openFds.length;
    world.posix.failNext("watch", "ENOSPC");
    const { child, ends } = follow(world);
    expect(world.posix.openFds).toHaveLength(before);
    world.posix.child(child.pid).exit(1);
    world.raise();
    expect(ends).toHaveLength(1);
  });

  test("is an exit with 111 when somebody else has reaped the child", () => {
    const world = newWorld();
    const { child, ends } = follow(world);
    world.posix.child(child.pid).exit(0);
    world.posix.reap(child.pid);
    world.posix.turn();
    expect(ends).toEqual([{ status: { kind: "exited", exitCode: 111 }, unexecuted: undefined }]);
  });

  test("is nobody's business any more when the child was released", () => {
    const world = newWorld();
    const before = world.posix.openFds.length;
    const { child, ends } = follow(world);
    world.children.release(child);
    world.posix.child(child.pid).exit(0);
    world.posix.turn();
    expect(ends).toEqual([]);
    expect(world.posix.openFds).toHaveLength(before);
    expect(world.clock.pendingTimers).toBe(0);
  });
});

describe("a program that was not executed", () => {
  test("comes with the step that failed, whatever the exit code", () => {
    const world = newWorld();
    const { child, ends } = follow(world);
    const failure = new SystemError("ENOENT", 2, "execve", "No such file or directory");
    world.posix.child(child.pid).fail(failure);
    world.posix.turn();
    expect(ends[0]?.unexecuted).toBe(failure);
  });

  test("is not guessed from exit code 127", () => {
    const world = newWorld();
    const { child, ends } = follow(world);
    world.posix.child(child.pid).exit(127);
    world.posix.turn();
    expect(ends[0]?.unexecuted).toBeUndefined();
  });

  test("is told of a child that was killed before", () => {
    const world = newWorld();
    world.posix.holdsBirths = true;
    const { child, ends } = follow(world);
    world.posix.kill(child.pid, SIGKILL);
    world.posix.turn();
    expect(ends).toEqual([{ status: KILLED, unexecuted: "killed" }]);
  });

  test("is not told of a child that was killed afterwards", () => {
    const world = newWorld();
    const { child, ends } = follow(world);
    world.posix.kill(child.pid, SIGKILL);
    world.posix.turn();
    expect(ends).toEqual([{ status: KILLED, unexecuted: undefined }]);
  });

  test("is not told of a killed child where nobody can know", () => {
    const world = newWorld();
    world.posix.holdsBirths = true;
    world.posix.hasProc = false;
    const { child, ends } = follow(world);
    world.posix.kill(child.pid, SIGKILL);
    world.posix.turn();
    expect(ends).toEqual([{ status: KILLED, unexecuted: undefined }]);
  });
});

describe("the exec", () => {
  test("an exec is told at once where somebody asks, and not once more by the timer", () => {
    const world = newWorld();
    const { child, told } = withBirthHeld(world);
    world.children.tellExecs();
    expect(told).toEqual([]);
    world.posix.child(child.pid).hasExecuted = true;
    world.children.tellExecs();
    expect(told).toEqual(["executed"]);
    world.clock.advance(1_000);
    expect(told).toEqual(["executed"]);
  });

  test("is told soon after, once, to those who want to hear of it", () => {
    const world = newWorld();
    const { child, told } = withBirthHeld(world);
    world.clock.advance(500);
    expect(told).toEqual([]);
    world.posix.child(child.pid).hasExecuted = true;
    world.clock.advance(64);
    expect(told).toEqual(["executed"]);
    world.clock.advance(500);
    expect(told).toEqual(["executed"]);
  });

  test("of a later child is not told later because of an earlier one that is stuck", () => {
    const world = newWorld();
    withBirthHeld(world);
    world.clock.advance(1_000);
    world.posix.holdsBirths = false;
    const told: string[] = [];
    world.children.watch(world.posix.spawn(REQUEST), {
      executed: () => told.push("executed"),
      ended: () => undefined,
    });
    world.clock.advance(1);
    expect(told).toEqual(["executed"]);
  });

  test("is told before the end of a child that was too fast to be seen", () => {
    const world = newWorld();
    const { child, told } = withBirthHeld(world);
    world.posix.child(child.pid).hasExecuted = true;
    world.posix.child(child.pid).exit(0);
    world.posix.turn();
    expect(told).toEqual(["executed", "ended undefined"]);
    expect(world.clock.pendingTimers).toBe(0);
  });

  test("is not told of a child that is dying without one", () => {
    const world = newWorld();
    const { child, told } = withBirthHeld(world);
    world.posix.kill(child.pid, SIGKILL);
    world.clock.advance(64);
    expect(told).toEqual([]);
    world.posix.turn();
    expect(told).toEqual(["ended killed"]);
  });
});

describe("a child that is stuck before its program", () => {
  test("is killed between one and two times the limit", () => {
    const world = newWorld();
    const { child } = withBirthHeld(world);
    world.clock.advance(BIRTH_MS_MAX);
    expect(world.posix.child(child.pid).signals).toEqual([]);
    world.clock.advance(BIRTH_MS_MAX);
    expect(world.posix.child(child.pid).signals).toEqual([SIGKILL]);
  });

  test("is left alone, and the others are served, where we may not kill it", () => {
    const world = newWorld();
    const { child } = withBirthHeld(world);
    world.posix.failNext("kill", "EPERM");
    world.clock.advance(2 * BIRTH_MS_MAX);
    expect(world.posix.child(child.pid).signals).toEqual([]);
    world.clock.advance(BIRTH_MS_MAX);
    expect(world.posix.child(child.pid).signals).toEqual([SIGKILL]);
  });

  test("is not one that has executed its program, however long that runs", () => {
    const world = newWorld();
    const { child } = follow(world);
    world.clock.advance(10 * BIRTH_MS_MAX);
    expect(world.posix.child(child.pid).signals).toEqual([]);
    expect(world.clock.pendingTimers).toBe(0);
  });
});

test("children of others are not ours", () => {
  const { children } = newWorld();
  expect(children.has(1 as Child["pid"])).toBe(false);
  children.release({ pid: 1 as Child["pid"], pidfd: -1 as Fd, birth: 0 });
});
