import { beforeEach, describe, expect, test } from "vitest";
import { FLUSH_MS, StderrLog } from "../../src/host/log.ts";
import type { Fd } from "../../src/posix/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

const FULL = Buffer.from(`${"#".repeat(65_535)}\n`);

let posix: FakePosix;
let clock: FakeClock;
let reader: Fd;
let writer: Fd;
let log: StderrLog;

beforeEach(() => {
  posix = new FakePosix();
  clock = new FakeClock();
  [reader, writer] = posix.pipe();
  log = new StderrLog({ posix, clock, fd: writer });
});

/** The bytes that a reader finds now. */
function read(): string {
  const into = Buffer.alloc(1 << 20);
  posix.setNonblocking(reader, true);
  let text = "";
  for (let count; (count = posix.read(reader, into)) !== undefined && count > 0;) {
    text += into.subarray(0, count).toString();
  }
  return text.replaceAll(/#+\n?/g, "");
}

function turnUntilIdle(): void {
  while (posix.turn() > 0); // each turn of the loop writes a little more
}

describe("a log", () => {
  test("a log writes a line at once where there is room, with one call", () => {
    log.report("prog", "info", "hello");
    log.line("prog", "info", "{}");
    expect(read()).toBe("prog: info: hello\n{}\n");
  });

  test("a log waits for a reader in the event loop, and keeps the order", () => {
    posix.write(writer, FULL);
    log.report("prog", "info", "one");
    log.report("prog", "warning", "two");
    expect(posix.turn()).toBe(0);
    expect(read()).toBe("");
    turnUntilIdle();
    expect(read()).toBe("prog: info: one\nprog: warning: two\n");
  });

  test("a log reports in the name of the last program how many lines are missing", () => {
    log.report("prog", "info", "one");
    read();
    // The first line, the notice that it is missing, and the second line.
    for (let i = 0; i < 3; i++) posix.failNext("writeNow", "ENOSPC");
    log.report("prog", "info", "two");
    log.report("prog", "info", "three");
    log.report("other", "info", "four");
    expect(read()).toBe(
      "other: warning: 2 lines are missing here: this log was not read in time\nother: info: four\n",
    );
  });

  test("a log loses lines quietly where no process will ever read them", () => {
    posix.close(reader);
    log.report("prog", "fatal", "one");
    log.end();
    expect(log.flush()).toBe(true);
    posix.close(writer);
    log.report("prog", "fatal", "two");
    expect(log.flush()).toBe(true);
  });

  test("a log writes without a watch when none can be made", () => {
    posix.write(writer, FULL);
    posix.failNext("watch", "ENOMEM");
    log.report("prog", "info", "one");
    read();
    log.report("prog", "info", "two");
    expect(read()).toBe("prog: info: one\nprog: info: two\n");
  });

  test("a log moves lines with splice where the kernel has no write that does not wait", () => {
    posix.failNext("writeNow", "EOPNOTSUPP");
    log.report("prog", "info", "one");
    posix.write(writer, FULL);
    log.report("prog", "info", "two");
    const before = posix.openFds;
    expect(read()).toBe("prog: info: one\n");
    turnUntilIdle();
    expect(read()).toBe("prog: info: two\n");
    expect(posix.openFds).toEqual(before);
  });

  test("a log hands lines to a thread where neither works", () => {
    posix.failNext("writeNow", "ENOSYS");
    posix.failNext("splice", "ENOSYS");
    const before = posix.openFds.length;
    log.report("prog", "info", "one");
    const [theirs] = posix.openFds.slice(-1);
    if (theirs === undefined) throw new Error("no descriptor for a thread");
    const into = Buffer.alloc(64);
    expect(into.subarray(0, posix.read(theirs, into)).toString()).toBe("prog: info: one\n");
    posix.close(theirs); // the thread is done
    expect(log.flush()).toBe(true);
    expect(posix.openFds.length).toBe(before);
  });

  test("a log starts another thread when one has failed", () => {
    posix.failNext("writeNow", "ENOSYS");
    posix.failNext("splice", "ENOSYS");
    log.report("prog", "info", "one");
    const opened = posix.openFds.length;
    posix.close(posix.openFds.at(-1) ?? writer);
    log.report("prog", "info", "two");
    log.report("prog", "info", "three");
    expect(posix.openFds.length).toBeLessThan(opened);
    expect(read()).toMatch(/ 1 line is missing here.*\nprog: info: three\n$/);
  });
});

describe("the end of a process", () => {
  /** Time passes while the process waits. */
  function waiting(ms: number): void {
    const { waitReady } = posix;
    posix.waitReady = (fd, interest, timeoutMs) => {
      clock.advance(Math.min(ms, timeoutMs));
      return waitReady.call(posix, fd, interest, 0);
    };
  }

  test("a log waits at exit for room for a fatal line, and never again after its deadline", () => {
    posix.write(writer, FULL);
    log.report("prog", "fatal", "one");
    waiting(FLUSH_MS * 2);
    log.end();
    expect(clock.monotonicMs()).toBe(FLUSH_MS);
    log.end();
    expect(log.flush()).toBe(false);
    expect(clock.monotonicMs()).toBe(FLUSH_MS);
  });

  test("a log does not wait at exit for lines that are not fatal", () => {
    posix.write(writer, FULL);
    log.report("prog", "warning", "one");
    waiting(10);
    log.end();
    expect(clock.monotonicMs()).toBe(0);
    read();
    log.end();
    expect(read()).toBe("prog: warning: one\n");
  });

  test("a log waits for all its lines before another program is executed", () => {
    posix.write(writer, FULL);
    log.report("prog", "info", "one");
    waiting(FLUSH_MS / 2);
    expect(log.flush()).toBe(false);
    expect(clock.monotonicMs()).toBe(FLUSH_MS / 2);
    read();
    expect(log.flush()).toBe(true);
    expect(read()).toBe("prog: info: one\n");
  });
});
