/** Children that are not waited for on the real kernel: many at a time, and how their failures are told. */

import { describe, expect, test } from "vitest";
import { loadPosix } from "../../src/posix/native.ts";
import type { Child, Fd, WaitStatus } from "../../src/posix/posix.ts";
import { codeOf, readToEnd, request, waitFor } from "./program.ts";

const posix = loadPosix();
const EXIT_127: WaitStatus = { kind: "exited", exitCode: 127 };
const MISSING = ["/nonexistent/program"];

function end({ pid, pidfd }: Child): WaitStatus {
  posix.waitReady(pidfd, { readable: true }, -1);
  posix.close(pidfd);
  return waitFor(pid);
}

function spawnWriting(words: readonly string[]): { readonly child: Child; readonly output: Fd } {
  const [output, input] = posix.pipe();
  const child = posix.spawnAhead(request(words, { descriptors: [1, input] }));
  posix.close(input); // at once: the child has descriptors of its own
  return { child, output };
}

describe("spawning ahead", () => {
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
  });

  test("a program that is not there is told once, when the child has ended", () => {
    const child = posix.spawnAhead(request(MISSING));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.spawnFailure(child.pid)).toMatchObject({ code: "ENOENT", syscall: "execve" });
    expect(posix.spawnFailure(child.pid)).toBeUndefined();
  });

  test("a step before the program is told by its own name", () => {
    const child = posix.spawnAhead(request(["true"], { descriptors: [5, 9_999] }));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.spawnFailure(child.pid)).toMatchObject({ code: "EBADF", syscall: "dup3" });
  });

  test("a program that ends with 127 itself has not failed", () => {
    const child = posix.spawnAhead(request(["sh", "-c", "exit 127"]));
    expect(end(child)).toEqual(EXIT_127);
    expect(posix.spawnFailure(child.pid)).toBeUndefined();
  });

  test("failures nobody asks for are kept, and then children are waited for again", () => {
    const failed: Child[] = [];
    expect(
      codeOf(() => {
        for (let count = 0; count < 1000; count += 1) {
          const child = posix.spawnAhead(request(MISSING));
          end(child);
          failed.push(child);
        }
      }),
    ).toBe("ENOENT");
    expect(failed.length).toBeGreaterThan(0);
    const reasons = failed.map(({ pid }) => posix.spawnFailure(pid)?.code);
    expect(new Set(reasons)).toEqual(new Set(["ENOENT"]));
  });

  test("what is too much for the place of a child is waited for", () => {
    const words = Array.from({ length: 50_000 }, (_, index) => String(index));
    const { child, output } = spawnWriting(["sh", "-c", 'echo "$#"', "sh", ...words]);
    expect(readToEnd(output)).toBe("50000\n");
    posix.close(output);
    expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
  });

  test("identity, limits and session are as for a child that is waited for", () => {
    const [output, input] = posix.pipe();
    const child = posix.spawnAhead(
      request(["sh", "-c", "ulimit -n; cut -d' ' -f1,6 /proc/self/stat; umask"], {
        descriptors: [1, input],
        limits: [["nofile", { soft: 40, hard: 50 }]],
        session: "setsid",
        umask: 0o27,
      }),
    );
    posix.close(input);
    const [nofile, , umask] = readToEnd(output).split("\n");
    posix.close(output);
    expect([nofile, umask]).toEqual(["40", "0027"]);
    expect(end(child)).toEqual({ kind: "exited", exitCode: 0 });
  });
});
