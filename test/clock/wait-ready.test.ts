import { expect, test } from "vitest";
import { deadlineAfter, waitReady } from "../../src/clock/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { loadPosix } from "../../src/posix/index.ts";

const posix = loadPosix();

test("a descriptor is ready until the deadline, and not after it", async () => {
  const clock = new FakeClock();
  const deadline = deadlineAfter(clock, 1000);
  const [read, write] = posix.pipe();
  const isReady = () => waitReady(posix, read, { readable: true }, deadline);
  const silent = isReady();
  clock.advance(999);
  posix.write(write, Buffer.from("x"));
  expect(await silent).toBe(true);
  expect(await isReady()).toBe(true);
  clock.advance(1);
  expect(await isReady()).toBe(false);
  posix.close(read);
  posix.close(write);
});

test("no wait is longer than the deadline", async () => {
  const clock = new FakeClock();
  const [read, write] = posix.pipe();
  const waiting = waitReady(posix, read, { readable: true }, deadlineAfter(clock, 1000));
  clock.advance(1000);
  expect(await waiting).toBe(false);
  posix.close(read);
  posix.close(write);
});
