/** One process knows which of the locks on a file are its own, by whatever name the file is opened. */
import { describe, expect, test } from "vitest";

import { LockTable, type LockOutcome } from "../../src/posix/index.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { Pid } from "../../src/posix/posix.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { temporaryFolder } from "./program.ts";

const fake = new FakePosix();
fake.putDirectory("/folder");
const folder = temporaryFolder();

function release(outcome: LockOutcome): void {
  if (outcome.kind !== "taken") throw new Error(`it was ${outcome.kind}`);
  outcome.lock.release();
}

for (const [kernel, posix, path] of [
  ["fake", fake, "/folder"],
  ["real", loadPosix(), folder.path],
] as const) {
  describe(`the lock table over the ${kernel} kernel`, () => {
    test("the lock table shows which of our files holds an exclusive lock, until it is released", () => {
      const table = new LockTable(posix);
      const one = posix.open(`${path}/lock`, "readwrite", { create: 0o600 });
      posix.link(`${path}/lock`, `${path}/other-name`);
      const other = posix.open(`${path}/other-name`, "readwrite");
      const taken = table.take(one, "exclusive", "logger of www");
      expect(taken.kind).toBe("taken");
      expect(table.take(other, "shared", "second")).toEqual({
        kind: "heldHere",
        holder: "logger of www",
      });
      expect(table.size).toBe(1);
      release(taken);
      release(taken);
      expect(table.size).toBe(0);
      const second = table.take(other, "exclusive", "second");
      expect(table.take(one, "exclusive", "first again")).toMatchObject({ holder: "second" });
      release(second);
      for (const fd of [one, other]) posix.close(fd);
    });

    test("the lock table shares locks among readers, and shows the first that conflicts with a writer", () => {
      const table = new LockTable(posix);
      const [a, b, c] = [0, 1, 2].map(() =>
        posix.open(`${path}/shared`, "readwrite", { create: 0o600 }),
      );
      if (a === undefined || b === undefined || c === undefined) throw new Error("three are open");
      const first = table.take(a, "shared", "a");
      const second = table.take(b, "shared", "b");
      expect(table.take(c, "exclusive", "c")).toEqual({ kind: "heldHere", holder: "a" });
      release(first);
      expect(table.take(c, "exclusive", "c")).toEqual({ kind: "heldHere", holder: "b" });
      release(second);
      release(table.take(c, "exclusive", "c"));
      for (const fd of [a, b, c]) posix.close(fd);
    });

    test("the lock table distinguishes other processes' locks from its own", () => {
      const table = new LockTable(posix);
      const ours = posix.open(`${path}/foreign`, "readwrite", { create: 0o600 });
      const theirs = posix.open(`${path}/foreign`, "readwrite");
      posix.recordLock(theirs, "exclusive", false);
      expect(table.take(ours, "shared", "ours")).toEqual({
        kind: "heldElsewhere",
        owner: "description",
      });
      expect(table.size).toBe(0);
      for (const fd of [ours, theirs]) posix.close(fd);
    });
  });
}

test("the lock table shows the process that holds a lock of fcntl", () => {
  const owner = 77 as Pid;
  fake.putFile("/folder/fcntl", "").foreignLock = { owner, kind: "shared" };
  const fd = fake.open("/folder/fcntl", "readwrite");
  const table = new LockTable(fake);
  expect(table.take(fd, "exclusive", "ours")).toEqual({ kind: "heldElsewhere", owner });
  expect(table.take(fd, "shared", "ours").kind).toBe("taken");
});
