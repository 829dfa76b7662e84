/** Children on the real kernel: what they are born with, how exec fails, how they end. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { joinBlock } from "../../src/posix/bytes.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, SystemError } from "../../src/posix/posix.ts";
import {
  codeOf,
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

function ownChildren(): string {
  const { pid } = process;
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
}

describe("the attributes of a child", () => {
  test("a child gets its arguments and both blocks of the environment", () => {
    const { stdout } = run(["/bin/sh", "-c", 'echo "$0 $1 $A $B"', "zero", "one"], {
      env: { A: "a" },
      environmentExtra: joinBlock(["B=b"]),
    });
    expect(stdout).toBe("zero one a b\n");
  });

  test("a child gets words that are not UTF-8", () => {
    const { stdout } = run(["/bin/sh", "-c", 'printf %s "$1" | od -An -tx1', "sh", "\udcff\udc80"]);
    expect(stdout.trim()).toBe("ff 80");
  });

  test("a child gets more words than fit on the stack", () => {
    const words = Array.from({ length: 3_000 }, (_, index) => String(index));
    expect(run(["/bin/sh", "-c", "echo $#", "sh", ...words]).stdout).toBe("3000\n");
  });

  test("a child gets a session of its own", () => {
    const fields = run(["cat", "/proc/self/stat"], { session: "setsid" }).stdout.split(" ");
    expect([fields[4], fields[5]]).toEqual([fields[0], fields[0]]);
  });

  test("a child gets a process group of its own, in our session", () => {
    const ours = readFileSync("/proc/self/stat", "latin1").split(" ");
    const fields = run(["cat", "/proc/self/stat"], { session: "background" }).stdout.split(" ");
    expect([fields[4], fields[5]]).toEqual([fields[0], ours[5]]);
  });

  test("a child gets its limits, and this process keeps its own", () => {
    const before = posix.getrlimit("nofile");
    const { stdout } = run(["cat", "/proc/self/limits"], {
      limits: [
        ["nofile", { soft: 41, hard: 42 }],
        ["core", { soft: 0, hard: 4096 }],
      ],
    });
    expect(stdout).toMatch(/^Max open files +41 +42 /m);
    expect(stdout).toMatch(/^Max core file size +0 +4096 /m);
    expect(posix.getrlimit("nofile")).toEqual(before);
  });

  test("a child gets a directory and a umask", () => {
    const path = folder.file("directory");
    mkdirSync(path);
    const { stdout } = run(["/bin/sh", "-c", "pwd -P; umask"], { directory: path, umask: 0o27 });
    expect(stdout).toBe(`${realpathSync(path)}\n0027\n`);
  });

  test.skipIf(!IS_ROOT)("a child gets an identity", () => {
    const { stdout } = run(["cat", "/proc/self/status"], {
      identity: { uid: 4_000_000_001, gid: 12, groups: [13, 4_000_000_002] },
    });
    expect(stdout).toMatch(/^Uid:\t4000000001\t4000000001\t4000000001\t4000000001$/m);
    expect(stdout).toMatch(/^Gid:\t12\t12\t12\t12$/m);
    expect(stdout).toMatch(/^Groups:\t13 4000000002 ?$/m);
  });

  test.skipIf(!IS_ROOT)("a child gets no supplementary groups at all, or a hundred", () => {
    const groups = Array.from({ length: 100 }, (_, index) => 1_000 + index);
    const groupsLine = (gids: number[]): string | undefined =>
      /^Groups:\t(.*)$/m.exec(
        run(["cat", "/proc/self/status"], { identity: { groups: gids } }).stdout,
      )?.[1];
    expect(groupsLine([])?.trim()).toBe("");
    expect(groupsLine(groups)?.trim()).toBe(groups.join(" "));
  });

  test("a child gets default dispositions and an empty mask, whatever Node has set for this process", () => {
    const ours = readFileSync("/proc/self/status", "latin1");
    expect(ours).not.toMatch(/^SigIgn:\t0+$/m); // SIGPIPE at least
    const { stdout } = run(["cat", "/proc/self/status"]);
    for (const field of ["SigPnd", "SigBlk", "SigIgn", "SigCgt"]) {
      expect(stdout).toMatch(new RegExp(`^${field}:\t0{16}$`, "m"));
    }
  });
});

describe("descriptors", () => {
  const FIRST = 60;

  /** Open as many files as there are letters, from FIRST on, close-on-exec. */
  function openLetters(letters: string): Fd[] {
    return letters.split("").map((letter, index) => {
      writeFileSync(folder.file(letter), letter);
      const fd = posix.open(folder.file(letter), "read");
      const placed = posix.dup2(fd, FIRST + index, true);
      posix.close(fd);
      return placed;
    });
  }

  /** Which letter each of the numbers from FIRST on leads to in a child. */
  function lettersInChild(count: number, descriptors: number[]): string[] {
    const numbers = Array.from({ length: count }, (_, index) => FIRST + index);
    const paths = numbers.map((fd) => `/proc/self/fd/${fd}`).join(" ");
    const script = `for f in ${paths}; do test -e $f && basename $(readlink $f) || echo -; done`;
    return run(["/bin/sh", "-c", script], { descriptors }).stdout.trim().split("\n");
  }

  test("descriptors of a child swap, rotate, keep, copy and close", () => {
    const opened = openLetters("abcde");
    try {
      const [a, b, c, d, e] = opened.map(Number) as [number, number, number, number, number];
      const moves = [a, b, b, c, c, a, d, d, e, -1, e + 1, a];
      expect(lettersInChild(7, moves)).toEqual(["b", "c", "a", "d", "-", "a", "-"]);
    } finally {
      opened.forEach((fd) => posix.close(fd));
    }
  });

  test("descriptors of a child may overlap in their sources and targets in any way", () => {
    const letters = "abcdef";
    const opened = openLetters(letters);
    const source = fc.integer({ min: -1, max: letters.length - 1 });
    const mapping = fc.array(fc.option(source), { minLength: 8, maxLength: 8 });
    try {
      fc.assert(
        fc.property(mapping, (sources) => {
          const moves = sources.flatMap((from, target) =>
            from === null ? [] : [FIRST + target, from < 0 ? -1 : FIRST + from],
          );
          const expected = sources.map((from) => letters[from ?? -1] ?? "-");
          expect(lettersInChild(8, moves)).toEqual(expected);
        }),
        { numRuns: 25 },
      );
    } finally {
      opened.forEach((fd) => posix.close(fd));
    }
  });

  test("a descriptor of a child may be above a limit that the child gets", () => {
    const [fd] = openLetters("a");
    const { stdout } = run(["cat", "/proc/self/fd/300"], {
      descriptors: [300, fd ?? -1],
      limits: [["nofile", { soft: 32, hard: 32 }]],
    });
    posix.close(fd ?? (-1 as Fd));
    expect(stdout).toBe("a");
  });

  test("descriptors of a child may be more than fit on the stack", () => {
    const [fd = -1] = openLetters("a");
    const descriptors = Array.from({ length: 150 }, (_, index) => [1_000 + index, fd]).flat();
    const { stdout } = run(["/bin/sh", "-c", "ls /proc/self/fd | grep -c '^1...$'"], {
      descriptors,
    });
    posix.close(fd as Fd);
    expect(stdout).toBe("150\n");
  });

  test("a source that is not open fails the spawn", () => {
    expect(codeOf(() => run(["true"], { descriptors: [5, 9_999] }))).toBe("EBADF");
  });

  test("a descriptor that is close-on-exec is not inherited", () => {
    const [fd = -1] = openLetters("a");
    expect(lettersInChild(1, [])).toEqual(["-"]);
    posix.setCloseOnExec(fd as Fd, false);
    expect(lettersInChild(1, [])).toEqual(["a"]);
    posix.close(fd as Fd);
  });
});

describe("failure", () => {
  const missing = folder.file("missing");
  const forbidden = folder.file("forbidden");
  const garbage = folder.file("garbage");
  writeFileSync(forbidden, "#!/bin/sh\n", { mode: 0o644 });
  writeFileSync(garbage, "not a program");
  chmodSync(garbage, 0o755);

  function failure(files: string[], parts = {}): SystemError {
    const child = posix.spawn({ ...request(["x"], parts), files: joinBlock(files) });
    posix.waitReady(child.pidfd, { readable: true }, -1);
    posix.close(child.pidfd);
    expect(waitFor(child.pid)).toEqual({ kind: "exited", exitCode: 127 });
    const error = posix.birthFailure(child.birth);
    if (error === undefined) throw new Error("it should have failed");
    return error;
  }

  test("a failure of exec names the call, the errno and its text", () => {
    expect(failure([missing])).toMatchObject({
      code: "ENOENT",
      errno: 2,
      syscall: "execve",
      message: "No such file or directory",
    });
  });

  test("the failure of several candidates is the last that was not ENOENT", () => {
    expect(failure([missing, forbidden, missing]).code).toBe("EACCES");
    expect(failure([forbidden, `${forbidden}/x`, missing]).code).toBe("ENOTDIR");
  });

  test("a file of no known format ends the search for a candidate", () => {
    expect(failure([garbage, "/bin/true"]).code).toBe("ENOEXEC");
  });

  test("the search goes on to a candidate that works", () => {
    const files = joinBlock([missing, forbidden, folder.path, "/bin/echo"]);
    expect(run(["echo", "found"], { files }).stdout).toBe("found\n");
  });

  test("a failure of a step before exec names that step", () => {
    const directory = failure(["/bin/true"], { directory: missing });
    expect([directory.syscall, directory.code]).toEqual(["chdir", "ENOENT"]);
    const limit = failure(["/bin/true"], { limits: [["nofile", { soft: 2, hard: 1 }]] });
    expect([limit.syscall, limit.code]).toEqual(["prlimit", "EINVAL"]);
  });

  test("a failed spawn leaves no zombie and no descriptor", () => {
    const before = readdirSync("/proc/self/fd");
    for (let i = 0; i < 300; i++) failure([missing]);
    expect(ownChildren()).toBe("");
    expect(posix.peekEndedChild()).toBeUndefined();
    expect(readdirSync("/proc/self/fd")).toEqual(before);
  });

  test("a spawn throws a TypeError when a block lacks its terminator", () => {
    const files = Buffer.from("/bin/true");
    expect(() => posix.spawn({ ...request(["x"]), files })).toThrow(TypeError);
  });
});

describe("the end of a child", () => {
  test("the end of a child is reported by pidfd, by peeking and by reaping, once", () => {
    const child = posix.spawn(request(["/bin/sh", "-c", "exit 42"]));
    posix.waitReady(child.pidfd, { readable: true }, -1);
    expect(posix.peekEndedChild()).toBe(child.pid);
    expect(posix.peekEndedChild()).toBe(child.pid);
    expect(waitFor(child.pid)).toEqual({ kind: "exited", exitCode: 42 });
    expect(posix.peekEndedChild()).toBeUndefined();
    expect(codeOf(() => posix.reap(child.pid))).toBe("ECHILD");
    posix.close(child.pidfd);
  });

  test("the end of a child is a signal when it was killed", () => {
    const [reader, writer] = posix.pipe(); // nothing will come: the child waits
    const child = posix.spawn(request(["/bin/sh", "-c", "read x"], { descriptors: [0, reader] }));
    expect(posix.reap(child.pid)).toBeUndefined();
    posix.kill(child.pid, 9);
    posix.waitReady(child.pidfd, { readable: true }, -1);
    expect(waitFor(child.pid)).toEqual({ kind: "killed", signal: 9, coreDumped: false });
    for (const fd of [reader, writer, child.pidfd]) posix.close(fd);
  });

  test("the pidfd is close-on-exec", () => {
    const child = posix.spawn(request(["true"]));
    const { stdout } = run(["ls", "-l", "/proc/self/fd"]);
    expect(stdout).not.toMatch(/pidfd/);
    posix.waitReady(child.pidfd, { readable: true }, -1);
    waitFor(child.pid);
    posix.close(child.pidfd);
  });
});

describe("this process", () => {
  test("this process has a pid and cannot signal a process that does not exist", () => {
    expect(posix.getpid()).toBe(process.pid);
    expect(codeOf(() => posix.kill(0x7fff_fff0, 0))).toBe("ESRCH");
  });

  test("this process cannot set the group of a terminal that is none", () => {
    const [fd, other] = posix.pipe();
    expect(codeOf(() => posix.tcsetpgrp(fd, posix.getpid(), true))).toBe("ENOTTY");
    posix.close(fd);
    posix.close(other);
  });

  test("this process becomes another program with signals as a shell would leave them", () => {
    const { status, stdout } = runFixture("execve", "/nonexistent", "/bin/cat");
    expect(status).toEqual({ kind: "exited", exitCode: 0 });
    for (const field of ["SigPnd", "SigBlk", "SigIgn", "SigCgt"]) {
      expect(stdout).toMatch(new RegExp(`^${field}:\t0{16}$`, "m"));
    }
  });

  test("this process goes on as before when it could not become another program", () => {
    expect(runFixture("execve", "/nonexistent").stdout).toBe("ENOENT execve\nhandler ran\n");
  });

  test("this process gets a session of its own once", () => {
    expect(runFixture("session").stdout).toBe("leader true, again EPERM\n");
  });

  test("a child that has a session of its own cannot get another one", () => {
    const [output, input] = posix.pipe();
    const child = posix.spawn(
      request(fixtureCommand("session"), {
        env: inheritedEnvironment(),
        descriptors: [1, input],
        session: "setsid",
      }),
    );
    posix.close(input);
    expect(readToEnd(output)).toBe("leader false, again EPERM\n");
    posix.waitReady(child.pidfd, { readable: true }, -1);
    waitFor(child.pid);
    posix.close(child.pidfd);
    posix.close(output);
  });
});
