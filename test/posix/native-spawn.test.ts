/** Births on the real kernel: many at a time, what is told of them, and what they leave behind. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadPosix } from "../../src/posix/native.ts";
import type { Child, Fd, WaitStatus } from "../../src/posix/posix.ts";
import {
  fixtureCommand,
  inheritedEnvironment,
  IS_ROOT,
  readToEnd,
  request,
  run,
  runFixture,
  temporaryFolder,
  waitFor,
} from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();
const EXIT_127: WaitStatus = { kind: "exited", exitCode: 127 };
const canUnshare = spawnSync("unshare", ["-pf", "true"]).status === 0;
const NO_NAMESPACES = canUnshare ? "" : " (skipped: no right to make pid namespaces)";
const MISSING = ["/nonexistent/program"];

function end({ pid, pidfd }: Child): WaitStatus {
  posix.waitReady(pidfd, { readable: true }, -1);
  posix.close(pidfd);
  return waitFor(pid);
}

function spawnWriting(
  words: readonly string[],
  parts: Parameters<typeof request>[1] = {},
): { readonly child: Child; readonly output: Fd } {
  const [output, input] = posix.pipe();
  const child = posix.spawn(request(words, { ...parts, descriptors: [1, input] }));
  posix.close(input); // at once: the child has descriptors of its own
  return { child, output };
}

/** Wait until the child's birth is over. */
async function untilOver({ birth }: Child): Promise<void> {
  while (posix.birthsInFlight().includes(birth)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("many children", () => {
  test("two hundred children at a time each get their own words, environment and descriptors", () => {
    const children = Array.from({ length: 200 }, (_, index) =>
      spawnWriting(["sh", "-c", 'echo "$0"', `word ${index} ${"x".repeat(index)}`]),
    );
    const outputs = children.map(({ output, child }) => {
      const text = readToEnd(output);
      posix.close(output);
      return { text, status: end(child) };
    });
    expect(outputs).toEqual(
      children.map((_, index) => ({
        text: `word ${index} ${"x".repeat(index)}\n`,
        status: { kind: "exited", exitCode: 0 },
      })),
    );
    expect(posix.birthsInFlight()).toEqual([]);
  });

  test("a child has of the descriptors above 2 those that are named alone, where that is asked for", () => {
    const others = Array.from({ length: 4 }, () => posix.pipe()).flat();
    for (const fd of others) posix.setCloseOnExec(fd, false);
    const [source = 0] = others;
    const look = 'for fd in "$@"; do test ! -e "/proc/self/fd/$fd" || echo "$fd"; done';
    const numbers = [...others, 100, 101].map(String);
    const seenBy = (closesOthers: boolean): string[] => {
      const [output, input] = posix.pipe();
      const descriptors = [1, input, 100, source, 101, input];
      const words = ["sh", "-c", look, "sh", ...numbers];
      const child = posix.spawn(request(words, { descriptors, closesOthers }));
      posix.close(input);
      const text = readToEnd(output);
      posix.close(output);
      expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
      return text.split("\n").filter(Boolean);
    };
    expect(seenBy(true)).toEqual(["100", "101"]);
    expect(seenBy(false)).toEqual(numbers);
    for (const fd of others) posix.close(fd);
  });

  test("a program that does not exist is reported once, when the child has ended", () => {
    const child = posix.spawn(request(MISSING));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.birthFailure(child.birth)).toMatchObject({ code: "ENOENT", syscall: "execve" });
    expect(posix.birthFailure(child.birth)).toBeUndefined();
  });

  test("a failed step before the program is reported by its own name", () => {
    const child = posix.spawn(request(["true"], { descriptors: [5, 9_999] }));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.birthFailure(child.birth)).toMatchObject({ code: "EBADF", syscall: "dup3" });
  });

  test("a program that ends with 127 itself has not failed", () => {
    const child = posix.spawn(request(["sh", "-c", "exit 127"]));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.birthFailure(child.birth)).toBeUndefined();
  });

  test("a thousand failures that are not collected keep no memory but the reason", () => {
    const pages = (): number => Number(readFileSync("/proc/self/statm", "latin1").split(" ")[0]);
    const failed: Child[] = [];
    for (let count = 0; count < 64; count += 1) end(posix.spawn(request(MISSING)));
    const before = pages();
    for (let count = 0; count < 1000; count += 1) {
      const child = posix.spawn(request(MISSING));
      end(child);
      failed.push(child);
    }
    expect(pages() - before).toBeLessThan(10_000); // each place has 32
    const reasons = failed.map(({ birth }) => posix.birthFailure(birth)?.code);
    expect(new Set(reasons)).toEqual(new Set(["ENOENT"]));
  });

  test("more words than a shared slot has room for are no failure", () => {
    const words = Array.from({ length: 50_000 }, (_, index) => String(index));
    const { child, output } = spawnWriting(["sh", "-c", 'echo "$#"', "sh", ...words]);
    expect(readToEnd(output)).toBe("50000\n");
    posix.close(output);
    expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
  });

  test("identity, limits and session are those of the request", () => {
    const script = "ulimit -n; cut -d' ' -f1,6 /proc/self/stat; umask";
    const { child, output } = spawnWriting(["sh", "-c", script], {
      limits: [["nofile", { soft: 40, hard: 50 }]],
      session: "setsid",
      umask: 0o27,
    });
    const [nofile, , umask] = readToEnd(output).split("\n");
    posix.close(output);
    expect([nofile, umask]).toEqual(["40", "0027"]);
    expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
  });

  test("an open directory is entered even when its number is given away", () => {
    const path = folder.file("directory");
    mkdirSync(path);
    const directory = posix.open(path, "read", { directory: true });
    const [output, input] = posix.pipe();
    const child = posix.spawn(
      request(["sh", "-c", "pwd -P"], { directory, descriptors: [1, input, directory, input] }),
    );
    for (const fd of [input, directory]) posix.close(fd);
    expect(readToEnd(output)).toBe(`${realpathSync(path)}\n`);
    posix.close(output);
    end(child);
  });

  test.skipIf(!IS_ROOT)("a directory that only we may search is entered with our rights", () => {
    const path = folder.file("private");
    mkdirSync(path, { mode: 0o700 });
    const identity = { uid: 4_000_000_003, gid: 4_000_000_003, groups: [] };
    const { child, output } = spawnWriting(["sh", "-c", "cat /proc/self/status; ls"], {
      identity,
      directory: path,
    });
    expect(readToEnd(output)).toMatch(/^Uid:\t4000000003/m);
    posix.close(output);
    expect(end(child)).not.toEqual({ kind: "exited", exitCode: 0 }); // it may not list it
  });
});

describe("supplementary groups", () => {
  const UNPRIVILEGED = { uid: 4_000_000_004, gid: 4_000_000_004 };

  test.skipIf(!IS_ROOT).each([
    ["an empty list takes them all away", { ...UNPRIVILEGED, groups: [] }, ""],
    ["a list replaces them", { ...UNPRIVILEGED, groups: [77] }, "77"],
    ["no list leaves those we have", UNPRIVILEGED, "11 12"],
  ])("supplementary groups are set as asked: %s", (_, identity, expected) => {
    // In a process of its own, for it takes on groups that others here must not have.
    const { stdout } = runFixture("groups", JSON.stringify(identity));
    expect(stdout.trim()).toBe(expected);
  });
});

describe("the end of a birth", () => {
  test("the pipe of a child reports that the program was executed, while it still runs", async () => {
    const [reader, writer] = posix.pipe();
    const child = posix.spawn(request(["sh", "-c", "read x"], { descriptors: [0, reader] }));
    await untilOver(child);
    expect(posix.birthFailure(child.birth)).toBeUndefined();
    expect(posix.hasExecuted(child.pid)).toBe(true);
    expect(posix.endedStatus(child.pid)).toBeUndefined();
    for (const fd of [reader, writer]) posix.close(fd);
    end(child);
  });

  test("the pipe of a child reports that the program does not exist, and then the reason is known", async () => {
    const child = posix.spawn(request(MISSING));
    await untilOver(child);
    expect(posix.birthFailure(child.birth)).toMatchObject({ code: "ENOENT", syscall: "execve" });
    expect(posix.hasExecuted(child.pid)).toBe(false);
    end(child);
  });
});

describe("oom scores", () => {
  const ownScore = (): string => readFileSync("/proc/self/oom_score_adj", "latin1").trim();

  test("an oom score is set for the child alone", () => {
    const before = ownScore();
    const { child, output } = spawnWriting(["cat", "/proc/self/oom_score_adj"], {
      oomScore: 321,
    });
    expect(readToEnd(output)).toBe("321\n");
    posix.close(output);
    expect(ownScore()).toBe(before);
    expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
    expect(posix.birthFailure(child.birth)).toBeUndefined();
    expect(posix.birthsInFlight()).toEqual([]);
  });

  test("a child with an oom score reports a program that does not exist like any other child", () => {
    const child = posix.spawn(request(MISSING, { oomScore: 321 }));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.birthFailure(child.birth)).toMatchObject({ code: "ENOENT", syscall: "execve" });
    expect(posix.birthsInFlight()).toEqual([]);
  });

  test.skipIf(!canUnshare)(
    `is no reason not to know that a program was executed, in a /proc of others${NO_NAMESPACES}`,
    () => {
      const words = ["unshare", "-pf", ...fixtureCommand("scored-birth")];
      const { stdout } = run(words, { env: inheritedEnvironment() });
      expect(stdout).toBe("in flight 0, failed undefined\nin flight 0, failed ENOENT\n");
    },
  );
});

test("spawning leaves no descriptors behind", () => {
  const before = readdirSync("/proc/self/fd");
  for (let count = 0; count < 50; count += 1) {
    end(posix.spawn(request(["true"])));
  }
  expect(readdirSync("/proc/self/fd")).toEqual(before);
});

test("a worker that ends while its children are being started does not wait for them", () => {
  expect(runFixture("worker-births").stdout).toBe("the worker has ended, its children have run\n");
});
