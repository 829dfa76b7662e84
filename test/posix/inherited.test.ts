import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { inheritedFds } from "../../src/posix/inherited.ts";
import { loadPosix } from "../../src/posix/native.ts";
import { fixtureCommand, inheritedEnvironment, run, temporaryFolder } from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

test("what Node opens for itself is told from what it was given", () => {
  const targets = [
    "/dev/null",
    "pipe:[1]",
    "socket:[2]",
    "anon_inode:[eventpoll]",
    "pipe:[3]",
    "pipe:[3]",
    "/etc/passwd",
    "pipe:[4]",
    "socket:[5]",
    "/dev/null",
  ];
  const links = targets.map((target, fd) => ({ fd, target }));
  expect(inheritedFds(links)).toEqual([0, 1, 2, 6, 7, 8]);
  expect(inheritedFds([])).toEqual([0, 1, 2]);
});

test("a program executed by a command has the descriptors the command had", () => {
  writeFileSync(folder.file("file"), "");
  const file = posix.open(folder.file("file"), "read");
  const [reader, writer] = posix.pipe();
  const [one, other] = posix.socketPair("stream");
  const descriptors = [0, file, 2, file, 4, file, 7, reader, 11, one, 15, writer, 40, file];
  const shell = ["/bin/sh", "-c", "ls /proc/$$/fd"];
  const directly = run(shell, { descriptors }).stdout;
  const through = run(fixtureCommand("inherit", shell), {
    descriptors,
    env: inheritedEnvironment(),
  }).stdout;
  for (const fd of [file, reader, writer, one, other]) posix.close(fd);
  expect(directly.split("\n")).toContain("15");
  expect(through).toBe(directly);
});
