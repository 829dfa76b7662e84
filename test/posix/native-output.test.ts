/** Output that does not wait, on the real kernel. */
import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Fd } from "../../src/posix/posix.ts";
import { codeOf, readToEnd, temporaryFolder } from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

/** Whole lines of this many bytes fill any pipe or socket in the end. */
const LINE = Buffer.from(`${"x".repeat(99)}\n`);

const LAST = Buffer.from(`${"y".repeat(99)}\n`);

function close(...fds: Fd[]): void {
  for (const fd of fds) posix.close(fd);
}

/** Write lines until that would wait; how many bytes went. */
function fill(fd: Fd): number {
  let bytes = 0;
  for (;;) {
    const written = posix.writeNow(fd, LINE);
    if (written === undefined) return bytes;
    bytes += written;
  }
}

describe("descriptorKind", () => {
  test("descriptorKind distinguishes files, directories, pipes, sockets and devices", () => {
    const path = folder.file("kind");
    const [reader, writer] = posix.pipe();
    const [one, other] = posix.socketPair("stream");
    const opened = [
      posix.open(path, "write", { create: 0o600 }),
      posix.open(folder.path, "read"),
      reader,
      one,
      posix.open("/dev/full", "write"),
      posix.open("/dev/ptmx", "readwrite"),
    ];
    const kinds = ["file", "directory", "pipe", "socket", "memory", "device"];
    expect(opened.map((fd) => posix.descriptorKind(fd))).toEqual(kinds);
    close(...opened, writer, other);
    expect(codeOf(() => posix.descriptorKind(writer))).toBe("EBADF");
  });
});

describe("writeNow", () => {
  test("writeNow fills a blocking pipe with whole lines, never waits and changes no flag", () => {
    const [reader, writer] = posix.pipe();
    const bytes = fill(writer);
    expect(bytes).toBeGreaterThan(32_768);
    expect(bytes % LINE.length).toBe(0);
    expect(posix.isNonblocking(writer)).toBe(false);
    posix.read(reader, new Uint8Array(65_536));
    expect(posix.writeNow(writer, LINE)).toBe(LINE.length);
    close(reader);
    expect(codeOf(() => posix.writeNow(writer, LINE))).toBe("EPIPE");
    close(writer);
  });

  test("writeNow fills a blocking socket and changes no flag", () => {
    const [one, other] = posix.socketPair("stream");
    expect(fill(one)).toBeGreaterThan(0);
    expect(posix.isNonblocking(one)).toBe(false);
    close(other);
    expect(codeOf(() => posix.writeNow(one, LINE))).toBe("EPIPE");
    close(one);
  });

  test("writeNow reports that the system has no such write", () => {
    const terminal = posix.open("/dev/ptmx", "readwrite");
    expect(codeOf(() => posix.writeNow(terminal, LINE))).toBe("EOPNOTSUPP");
    close(terminal);
  });
});

describe("splice", () => {
  test("splice moves a line from pipe to pipe whole or not at all, and changes no flag", () => {
    const [reader, writer] = posix.pipe();
    const [from, into] = posix.pipe();
    fill(writer);
    posix.write(into, LINE);
    expect(posix.splice(from, writer, LINE.length)).toBeUndefined();
    posix.read(reader, new Uint8Array(65_536));
    expect(posix.splice(from, writer, LINE.length)).toBe(LINE.length);
    expect(posix.isNonblocking(writer)).toBe(false);
    close(reader, writer, from, into);
  });
});

describe("copyInThread", () => {
  test("copyInThread writes all that was sent, then hangs up, while no other thread waits", () => {
    const [reader, writer] = posix.pipe();
    fill(writer);
    const [ours, theirs] = posix.socketPair("seqpacket");
    posix.copyInThread(theirs, writer);
    close(writer);
    for (const line of [LINE, LAST]) posix.writeNow(ours, line);
    posix.shutdown(ours, "write");
    expect(posix.waitReady(ours, { readable: true }, 50)).toBeUndefined();
    expect(readToEnd(reader)).toMatch(/x\ny{99}\n$/);
    expect(posix.waitReady(ours, { readable: true }, 10_000)).toMatchObject({ hangup: true });
    close(ours, reader);
  });

  test("copyInThread ends when it cannot write, and reports it by hanging up", () => {
    const full = posix.open("/dev/full", "write");
    const [ours, theirs] = posix.socketPair("seqpacket");
    posix.copyInThread(theirs, full);
    posix.writeNow(ours, LINE);
    expect(posix.waitReady(ours, { readable: true }, 10_000)).toMatchObject({ hangup: true });
    expect(codeOf(() => posix.writeNow(ours, LINE))).toBe("EPIPE");
    close(ours, full);
  });

  test("copyInThread has descriptors of its own, which no program inherits", () => {
    const path = folder.file("copied");
    const file = posix.open(path, "write", { create: 0o600 });
    const [ours, theirs] = posix.socketPair("seqpacket");
    posix.copyInThread(theirs, file);
    close(file);
    posix.writeNow(ours, LINE);
    posix.shutdown(ours, "write");
    posix.waitReady(ours, { readable: true }, 10_000);
    expect(readFileSync(path)).toEqual(LINE);
    close(ours);
  });
});
