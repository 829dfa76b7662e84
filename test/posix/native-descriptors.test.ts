/** Descriptors and files on the real kernel. */
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import { SystemError, type Fd, type FileVersion } from "../../src/posix/posix.ts";
import { codeOf, run, temporaryFolder } from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();
const CLOSED = 99_999 as Fd;

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

describe("open", () => {
  test("open creates with the mode bits given, truncates and appends", () => {
    const path = folder.file("created");
    const before = posix.umask(0o22);
    const first = posix.open(path, "write", { create: 0o666, exclusive: true });
    posix.umask(before);
    posix.write(first, bytes("first"));
    posix.close(first);
    const second = posix.open(path, "write", { append: true });
    posix.write(second, bytes(" second"));
    posix.close(second);
    expect(readFileSync(path, "utf8")).toBe("first second");
    expect(lstatSync(path).mode & 0o777).toBe(0o644);
    posix.close(posix.open(path, "write", { truncate: true }));
    expect(readFileSync(path, "utf8")).toBe("");
  });

  test("open fails as open(2) does", () => {
    writeFileSync(folder.file("file"), "");
    symlinkSync("file", folder.file("link"));
    const open = (name: string, options = {}): string | undefined =>
      codeOf(() => posix.open(folder.file(name), "read", options));
    expect(open("missing")).toBe("ENOENT");
    expect(open("file", { create: 0o600, exclusive: true })).toBe("EEXIST");
    expect(open("file", { directory: true })).toBe("ENOTDIR");
    expect(open("link", { noFollow: true })).toBe("ELOOP");
    expect(codeOf(() => posix.open(folder.path, "write"))).toBe("EISDIR");
  });

  test("open takes names that are not UTF-8", () => {
    const path = folder.file("name-\udcff");
    posix.close(posix.open(path, "write", { create: 0o600 }));
    expect(
      lstatSync(Buffer.concat([bytes(folder.file("name-")), Buffer.from([255])])),
    ).toBeTruthy();
    expect(posix.readable(path)).toBeUndefined();
  });

  test("open of a fifo does not block: a reader at once, a writer only with a reader", () => {
    const path = folder.file("fifo");
    posix.mkfifo(path, 0o600);
    expect(codeOf(() => posix.mkfifo(path, 0o600))).toBe("EEXIST");
    const asWriter = (): Fd => posix.open(path, "write", { nonblocking: true });
    expect(codeOf(asWriter)).toBe("ENXIO");
    const reader = posix.open(path, "read", { nonblocking: true });
    const writer = asWriter();
    expect(posix.read(reader, new Uint8Array(4))).toBeUndefined();
    posix.write(writer, bytes("ping"));
    const into = new Uint8Array(8);
    expect(posix.read(reader, into)).toBe(4);
    posix.close(writer);
    expect(posix.read(reader, into)).toBe(0);
    posix.close(reader);
  });
});

describe("reading and writing", () => {
  test("reading and writing report that they would block", () => {
    const [reader, writer] = posix.pipe();
    expect(posix.setNonblocking(reader, true)).toBe(false);
    expect(posix.setNonblocking(reader, true)).toBe(true);
    expect([posix.isNonblocking(reader), posix.isNonblocking(writer)]).toEqual([true, false]);
    expect(posix.read(reader, new Uint8Array(1))).toBeUndefined();
    posix.setNonblocking(writer, true);
    const chunk = new Uint8Array(65_536);
    while (posix.write(writer, chunk) !== undefined); // until it is full
    expect(posix.write(writer, chunk)).toBeUndefined();
    posix.close(reader);
    expect(codeOf(() => posix.write(writer, chunk))).toBe("EPIPE");
    posix.close(writer);
  });

  test("writing to a socket whose other end is closed is EPIPE and no signal", () => {
    const [one, other] = posix.socketPair("stream");
    posix.close(other);
    expect(codeOf(() => posix.write(one, bytes("x")))).toBe("EPIPE");
    expect(codeOf(() => posix.writev(one, [bytes("x")]))).toBe("EPIPE");
    posix.close(one);
  });

  test("writing several buffers takes nothing but bytes", () => {
    const [reader, writer] = posix.pipe();
    const others: unknown[] = [
      [bytes("x"), "y"],
      [new Float64Array(1)],
      [undefined],
      "z",
      undefined,
    ];
    for (const buffers of others) {
      expect(() => posix.writev(writer, buffers as Uint8Array[])).toThrow(TypeError);
    }
    posix.setNonblocking(reader, true);
    expect(posix.read(reader, new Uint8Array(1))).toBeUndefined();
    posix.close(reader);
    posix.close(writer);
  });

  test("writing and reading no bytes is allowed", () => {
    const [reader, writer] = posix.pipe();
    expect(posix.write(writer, new Uint8Array(0))).toBe(0);
    expect(posix.read(reader, new Uint8Array(0))).toBe(0);
    posix.close(reader);
    posix.close(writer);
  });

  test("a closed descriptor is EBADF in every call", () => {
    const calls: readonly (() => unknown)[] = [
      () => posix.close(CLOSED),
      () => posix.read(CLOSED, new Uint8Array(1)),
      () => posix.write(CLOSED, new Uint8Array(1)),
      () => posix.writev(CLOSED, [new Uint8Array(1)]),
      () => posix.dup(CLOSED),
      () => posix.dup2(CLOSED, 200),
      () => posix.setCloseOnExec(CLOSED, true),
      () => posix.setNonblocking(CLOSED, true),
      () => posix.isNonblocking(CLOSED),
      () => posix.accessMode(CLOSED),
      () => posix.isSocket(CLOSED),
      () => posix.waitReady(CLOSED, { readable: true }, 0),
      () => posix.fsync(CLOSED),
      () => posix.flock(CLOSED, "shared", false),
      () => posix.recordLock(CLOSED, "shared", false),
      () => posix.recordLockOwner(CLOSED, "shared"),
      () => posix.isSameOpenFile(CLOSED, CLOSED),
    ];
    expect(calls.map(codeOf)).toEqual(calls.map(() => "EBADF"));
    expect(posix.isOpen(CLOSED)).toBe(false);
    expect(posix.isOpen(-1)).toBe(false);
  });

  test("an error reports the failure in the words of the system", () => {
    try {
      posix.close(CLOSED);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SystemError);
      expect(error).toMatchObject({ code: "EBADF", errno: 9, syscall: "close" });
      expect(String(error)).toBe("SystemError: Bad file descriptor");
    }
  });

  test("a wrong argument is a TypeError", () => {
    expect(() => posix.close("1" as unknown as Fd)).toThrow(TypeError);
    expect(() => posix.read(0 as Fd, "text" as unknown as Uint8Array)).toThrow(TypeError);
  });
});

describe("copies", () => {
  test("copies are inherited when asked for, and share one open file", () => {
    const [reader, writer] = posix.pipe();
    const copy = posix.dup(reader, 70);
    const placed = posix.dup2(reader, 90);
    expect(copy).toBeGreaterThanOrEqual(70);
    expect(placed).toBe(90);
    const inherited = run(["ls", "/proc/self/fd"]).stdout.trim().split("\n").map(Number);
    expect([inherited.includes(placed), inherited.includes(copy)]).toEqual([true, false]);
    expect([undefined, true]).toContain(posix.isSameOpenFile(reader, copy));
    expect([undefined, false]).toContain(posix.isSameOpenFile(reader, writer));
    for (const fd of [reader, writer, copy, placed]) posix.close(fd);
  });

  test("a copy onto itself changes only close-on-exec", () => {
    const [reader, writer] = posix.pipe();
    posix.dup2(reader, reader);
    const inherited = run(["ls", "/proc/self/fd"]).stdout.trim().split("\n").map(Number);
    expect([inherited.includes(reader), inherited.includes(writer)]).toEqual([true, false]);
    posix.close(reader);
    posix.close(writer);
  });

  test("descriptors show their access mode and whether they are sockets", () => {
    const [reader, writer] = posix.pipe();
    const [one, other] = posix.socketPair("seqpacket");
    expect([reader, writer, one].map((fd) => posix.accessMode(fd))).toEqual([
      "read",
      "write",
      "readwrite",
    ]);
    expect([reader, one].map((fd) => posix.isSocket(fd))).toEqual([false, true]);
    for (const fd of [reader, writer, one, other]) posix.close(fd);
  });
});

test("waitReady reports readiness, or the timeout", () => {
  const [reader, writer] = posix.pipe();
  expect(posix.waitReady(reader, { readable: true }, 0)).toBeUndefined();
  expect(posix.waitReady(reader, { readable: true }, 1)).toBeUndefined();
  expect(posix.waitReady(writer, { writable: true }, -1)).toMatchObject({ writable: true });
  posix.close(writer);
  expect(posix.waitReady(reader, {}, -1)).toEqual({
    readable: false,
    writable: false,
    hangup: true,
  });
  posix.close(reader);
});

describe("files by path", () => {
  test("a file version changes with the content and with a replacement", () => {
    const path = folder.file("versioned");
    writeFileSync(path, "one");
    const first = posix.fileVersion(path) as FileVersion;
    const status = lstatSync(path, { bigint: true });
    expect(first).toMatchObject({
      device: Number(status.dev),
      inode: Number(status.ino),
      sizeBytes: 3,
      mtimeSeconds: Number(status.mtimeNs / 1_000_000_000n),
      mtimeNanoseconds: Number(status.mtimeNs % 1_000_000_000n),
      mode: Number(status.mode),
    });
    writeFileSync(path, "three");
    expect(posix.fileVersion(path)).toMatchObject({ sizeBytes: 5 });
    expect(posix.fileVersion(folder.file("none"))).toBe("ENOENT");
    expect(posix.fileVersion(`${path}/x`)).toBe("ENOTDIR");
  });

  test("readable() names the reason for an unreadable file", () => {
    mkdirSync(folder.file("sub"));
    expect(posix.readable(folder.file("sub"))).toBeUndefined();
    expect(posix.readable(folder.file("none"))).toBe("ENOENT");
  });

  test("fsync of a descriptor works on files only", () => {
    const file = posix.open(folder.file("synced"), "write", { create: 0o600 });
    const [reader, writer] = posix.pipe();
    posix.fsync(file);
    expect(codeOf(() => posix.fsync(writer))).toBe("EINVAL");
    for (const fd of [file, reader, writer]) posix.close(fd);
  });
});
