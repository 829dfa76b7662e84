/** Identity, limits, umask and directory, in programs of their own. */
import { mkdirSync, realpathSync } from "node:fs";

import { expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import { IS_ROOT, runFixture, temporaryFolder } from "./program.ts";

const posix = loadPosix();

test("the ids are those that Node shows", () => {
  expect([posix.getuid(), posix.getgid()]).toEqual([process.getuid?.(), process.getgid?.()]);
  expect([posix.geteuid(), posix.getegid()]).toEqual([process.geteuid?.(), process.getegid?.()]);
});

test.skipIf(!IS_ROOT)("a drop of privileges reaches every thread and is final", () => {
  const { stdout } = runFixture("drop-privileges");
  const told: unknown = JSON.parse(stdout);
  expect(told).toEqual({
    uids: ["Uid:\t1001\t1001\t1001\t1001"],
    gids: ["Gid:\t1002\t1002\t1002\t1002"],
    groups: ["Groups:\t1003 1004"],
    again: ["EPERM", "EPERM", "EPERM"],
    clock: ["EPERM", "EPERM"],
  });
});

test("limits are read and set, and refused above the hard one", () => {
  expect(JSON.parse(runFixture("limits").stdout)).toEqual({
    after: { soft: 100, hard: 200 },
    unlimited: { soft: null, hard: null },
    inverted: "EINVAL",
  });
});

test("umask and directory are set, and Node notices", () => {
  const folder = temporaryFolder();
  mkdirSync(folder.file("there"));
  const told: unknown = JSON.parse(runFixture("directory", folder.path).stdout);
  const there = realpathSync(folder.file("there"));
  expect(told).toEqual({ umask: [0o22, 0o77], directory: there, missing: "ENOENT" });
});
