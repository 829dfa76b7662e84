/** flock(2), which excludes open files, and record locks, which exclude processes. */
import { expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, Pid } from "../../src/posix/posix.ts";
import {
  fixtureCommand,
  inheritedEnvironment,
  request,
  temporaryFolder,
  waitFor,
} from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

function openLock(name: string): Fd {
  return posix.open(folder.file(name), "readwrite", { create: 0o600 });
}

test("flock excludes another open file, shares, and is given up", () => {
  const [one, other] = [openLock("flock"), openLock("flock")];
  expect(posix.flock(one, "exclusive", true)).toBe(true);
  expect(posix.flock(other, "shared", false)).toBe(false);
  expect(posix.flock(one, "shared", false)).toBe(true);
  expect(posix.flock(other, "shared", true)).toBe(true);
  expect(posix.flock(other, "exclusive", false)).toBe(false);
  posix.flock(one, "unlock", false);
  expect(posix.flock(other, "exclusive", false)).toBe(true);
  posix.close(one);
  posix.close(other);
});

/** Have another process take a record lock, and run `use` while it holds it. */
function whileLocked(name: string, kind: string, use: (fd: Fd, holder: Pid) => void): void {
  const fd = openLock(name);
  const [told, tell] = posix.pipe();
  const [released, release] = posix.pipe();
  const holder = posix.spawn(
    request(fixtureCommand("lock-holder", [folder.file(name), kind]), {
      env: inheritedEnvironment(),
      descriptors: [0, released, 1, tell],
    }),
  );
  posix.close(tell);
  expect(posix.read(told, new Uint8Array(1))).toBe(1);
  use(fd, holder.pid);
  posix.close(release);
  posix.waitReady(holder.pidfd, { readable: true }, -1);
  expect(waitFor(holder.pid)).toEqual({ kind: "exited", exitCode: 0 });
  expect(posix.recordLock(fd, "exclusive", false)).toBe(true);
  for (const open of [fd, told, released, holder.pidfd]) posix.close(open);
}

test("an exclusive record lock of another process is in the way, and has an owner", () => {
  whileLocked("exclusive", "exclusive", (fd, holder) => {
    expect(posix.recordLock(fd, "shared", false)).toBe(false);
    expect(posix.recordLockOwner(fd, "shared")).toBe(holder);
  });
});

test("a shared one is in the way of an exclusive one only", () => {
  whileLocked("shared", "shared", (fd, holder) => {
    expect(posix.recordLock(fd, "shared", false)).toBe(true);
    expect(posix.recordLockOwner(fd, "shared")).toBeUndefined();
    expect(posix.recordLock(fd, "exclusive", false)).toBe(false);
    expect(posix.recordLockOwner(fd, "exclusive")).toBe(holder);
    expect(posix.recordLock(fd, "unlock", false)).toBe(true);
  });
});

test("waiting for a record lock ends when its holder does", () => {
  const fd = openLock("waited");
  const [told, tell] = posix.pipe();
  const [released, release] = posix.pipe();
  const holder = posix.spawn(
    request(fixtureCommand("lock-holder", [folder.file("waited"), "exclusive"]), {
      env: inheritedEnvironment(),
      descriptors: [0, released, 1, tell],
    }),
  );
  expect(posix.read(told, new Uint8Array(1))).toBe(1);
  posix.close(release);
  expect(posix.recordLock(fd, "exclusive", true)).toBe(true);
  posix.waitReady(holder.pidfd, { readable: true }, -1);
  waitFor(holder.pid);
  for (const open of [fd, told, tell, released, holder.pidfd]) posix.close(open);
});
