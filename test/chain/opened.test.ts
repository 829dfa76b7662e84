import { expect, test } from "vitest";
import { abandon, withOpened } from "../../src/chain/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { launchOf } from "./world.ts";

import type { Fd } from "../../src/posix/index.ts";

const ENDS = (fd: Fd): [number, Fd][] => [
  [6, fd],
  [7, fd],
];

test("what a link has opened for a child is closed here when the child has it, or will never be", () => {
  const posix = new FakePosix();
  const before = posix.openFds;
  for (const finish of ["release", "abandon"] as const) {
    const [one, other] = posix.socketPair("stream");
    let letGo = 0;
    const opened: [number, Fd][] = [...ENDS(one), [8, other]];
    const context = { posix, isBecoming: false };
    const launch = withOpened(launchOf(["prog"]), opened, context, () => (letGo += 1));
    expect([...launch.descriptors]).toEqual(opened);
    expect(posix.openFds.length).toBe(before.length + 2);
    if (finish === "abandon") abandon(launch);
    else for (const companion of launch.companions ?? []) companion.release(undefined);
    expect([posix.openFds, letGo]).toEqual([before, 1]);
  }
});

test("what a link has opened for the program that this process becomes stays open", () => {
  const posix = new FakePosix();
  const [one] = posix.socketPair("stream");
  const launch = withOpened(launchOf(["prog"]), ENDS(one), { posix, isBecoming: true });
  expect(launch.companions).toBeUndefined();
  expect(posix.isOpen(one)).toBe(true);
});

test("a close that fails keeps nothing else from being closed, and from being told", () => {
  const posix = new FakePosix();
  const [one, other] = posix.socketPair("stream");
  let letGo = 0;
  const opened: [number, Fd][] = [
    [6, one],
    [7, other],
  ];
  const context = { posix, isBecoming: false };
  const launch = withOpened(launchOf(["prog"]), opened, context, () => (letGo += 1));
  posix.failNext("close", "EIO");
  expect(() => abandon(launch)).toThrow("EIO");
  expect([posix.isOpen(other), letGo]).toEqual([false, 1]);
});
