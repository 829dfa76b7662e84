/** Watches in the event loop of this process, and of programs and workers that end. */
import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, Readiness, Watch } from "../../src/posix/posix.ts";
import { codeOf, request, runFixture, temporaryFolder, waitFor } from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();
const BYTE = Buffer.from("x");

/** Wait for one readiness. */
function once(fd: Fd, interest: Parameters<Watch["update"]>[0]): Promise<Readiness> {
  return new Promise((resolve) => {
    const watch = posix.watch(fd, interest, (readiness) => {
      watch.close();
      resolve(readiness);
    });
  });
}

/** Let the event loop turn until everything that is ready now has been delivered. */
async function turn(): Promise<void> {
  const [reader, writer] = posix.pipe();
  for (let i = 0; i < 2; i++) await once(writer, { writable: true });
  posix.close(reader);
  posix.close(writer);
}

test("a watch is called when bytes arrive, and at the end of file", async () => {
  const [reader, writer] = posix.pipe();
  const arrival = once(reader, { readable: true });
  posix.write(writer, BYTE);
  expect(await arrival).toEqual({ readable: true, writable: false, hangup: false });
  posix.read(reader, new Uint8Array(1));
  const end = once(reader, { readable: true });
  posix.close(writer);
  expect(await end).toEqual({ readable: false, writable: false, hangup: true });
  posix.close(reader);
});

test("a watch is level-triggered, and called only for the events it is interested in", async () => {
  const [one, other] = posix.socketPair("stream");
  const seen: Readiness[] = [];
  const watch = posix.watch(one, { readable: true }, (readiness) => {
    seen.push(readiness);
    if (seen.length === 2) watch.update({ writable: true });
    if (seen.length === 4) watch.close();
  });
  posix.write(other, BYTE);
  await turn();
  await turn();
  await turn();
  expect(seen.map(({ readable, writable }) => [readable, writable])).toEqual([
    [true, false],
    [true, false],
    [false, true],
    [false, true],
  ]);
  posix.close(one);
  posix.close(other);
});

test("a paused watch is not called even after a hangup, and wakes when it is resumed", async () => {
  const [reader, writer] = posix.pipe();
  let calls = 0;
  const watch = posix.watch(reader, {}, () => void calls++);
  posix.close(writer);
  await turn();
  expect(calls).toBe(0);
  watch.update({ readable: true });
  await turn();
  expect(calls).toBeGreaterThan(0);
  watch.update({});
  const before = calls;
  await turn();
  expect(calls).toBe(before);
  watch.close();
  posix.close(reader);
});

test("a watch for a hangup alone is called for nothing else", async () => {
  const [reader, writer] = posix.pipe();
  const seen: Readiness[] = [];
  const watch = posix.watch(writer, { hangup: true }, (readiness) => {
    seen.push(readiness);
    watch.close();
  });
  await turn();
  expect(seen).toEqual([]);
  posix.close(reader);
  await turn();
  expect(seen).toEqual([{ readable: false, writable: false, hangup: true }]);
  posix.close(writer);
});

test("a watch that is closed or paused in the same batch is not called", async () => {
  const pipes = [0, 1, 2, 3].map(() => posix.pipe());
  const watches: Watch[] = [];
  const called: number[] = [];
  pipes.forEach(([reader], index) => {
    const watch = posix.watch(reader, { readable: true }, () => {
      called.push(index);
      watches.forEach((other, at) => (at % 2 === 0 ? other.close() : other.update({})));
    });
    watches.push(watch);
  });
  for (const [, writer] of pipes) posix.write(writer, BYTE);
  await turn();
  expect(called).toHaveLength(1);
  for (const watch of watches) watch.close();
  for (const fd of pipes.flat()) posix.close(fd);
});

test("many watches are ready at once and all are called", async () => {
  const pipes = Array.from({ length: 500 }, () => posix.pipe());
  const called = new Set<Fd>();
  const finished = new Promise<void>((resolve) => {
    for (const [reader, writer] of pipes) {
      posix.write(writer, BYTE);
      const watch = posix.watch(reader, { readable: true }, () => {
        watch.close();
        called.add(reader);
        if (called.size === pipes.length) resolve();
      });
    }
  });
  await finished;
  for (const fd of pipes.flat()) posix.close(fd);
});

test("closing the descriptor ends its watch, and the number may be watched anew", async () => {
  const [reader, writer] = posix.pipe();
  posix.watch(reader, { readable: true }, () => expect.unreachable());
  posix.write(writer, BYTE);
  posix.close(reader);
  const [fresh, other] = posix.pipe();
  expect(fresh).toBe(reader);
  const arrival = once(fresh, { readable: true });
  posix.write(other, BYTE);
  expect(await arrival).toMatchObject({ readable: true });
  for (const fd of [writer, fresh, other]) posix.close(fd);
});

test("one descriptor has one watch, a copy of it another", async () => {
  const [reader, writer] = posix.pipe();
  const copy = posix.dup(reader);
  const first = posix.watch(reader, { readable: true }, () => undefined);
  expect(codeOf(() => posix.watch(reader, { readable: true }, () => undefined))).toBe("EEXIST");
  posix.write(writer, BYTE);
  expect(await once(copy, { readable: true })).toMatchObject({ readable: true });
  first.close();
  first.close();
  first.update({ readable: true });
  expect(codeOf(() => posix.watch(99_999 as Fd, { readable: true }, () => undefined))).toBe(
    "EBADF",
  );
  for (const fd of [reader, writer, copy]) posix.close(fd);
});

test("a regular file is always ready", async () => {
  writeFileSync(folder.file("regular"), "content");
  const fd = posix.open(folder.file("regular"), "readwrite");
  expect(await once(fd, { readable: true })).toEqual({
    readable: true,
    writable: false,
    hangup: false,
  });
  let calls = 0;
  const watch = posix.watch(fd, { writable: true }, () => void calls++);
  await turn();
  watch.update({});
  const before = calls;
  expect(before).toBeGreaterThan(0);
  await turn();
  expect(calls).toBe(before);
  watch.close();
  posix.close(fd);
});

test("the end of a child wakes its pidfd", async () => {
  const [reader, writer] = posix.pipe();
  const child = posix.spawn(
    request(["/bin/sh", "-c", "read x; exit 3"], { descriptors: [0, reader] }),
  );
  posix.close(reader);
  const ended = once(child.pidfd, { readable: true });
  posix.close(writer);
  expect(await ended).toMatchObject({ readable: true });
  expect(waitFor(child.pid)).toEqual({ kind: "exited", exitCode: 3 });
  posix.close(child.pidfd);
});

test("promises resolved by a watch continue before the next turn", () => {
  expect(runFixture("watch-order").stdout).toBe("watch, microtask, tick, immediate\n");
});

test("the loop lives as long as a watch waits for something, unless the watch is told not to keep it", () => {
  expect(runFixture("watch-alive").stdout).toBe("idle\nquiet\nready\nclosed\n");
});

test("an error thrown by a watch is an uncaught exception", () => {
  expect(runFixture("watch-throws").stdout).toBe("caught oops\nstill here\n");
});

test("workers have watches and children of their own, and end cleanly", () => {
  const { status, stdout } = runFixture("workers");
  expect(stdout).toBe("8 workers, 8 right answers\n");
  expect(status).toEqual({ kind: "exited", exitCode: 0 });
});
