/** The behaviour that callers may rely on, whichever kernel they use: the real one or the fake. */
import { describe, expect, test } from "vitest";

import { WRITEV_BUFFERS_MAX } from "../../src/posix/posix.ts";
import type { Posix, SocketAddress } from "../../src/posix/posix.ts";
import { codeOf } from "./program.ts";
import { unixConformance } from "./unix-conformance.ts";

const BYTES = Buffer.from("some bytes");

/** `folder` is where files may be made; it ends without a slash. */
export function posixConformance(kernel: string, posix: Posix, folder: string): void {
  describe(`pipes and sockets of the ${kernel} kernel`, () => {
    test("a pipe carries bytes to an end, and breaks", () => {
      const [reader, writer] = posix.pipe();
      const into = new Uint8Array(4);
      expect(posix.write(writer, BYTES)).toBe(10);
      expect(posix.read(reader, into)).toBe(4);
      expect(Buffer.from(into).toString()).toBe("some");
      posix.close(writer);
      expect([posix.read(reader, into), posix.read(reader, into)]).toEqual([4, 2]);
      expect(posix.read(reader, into)).toBe(0);
      posix.close(reader);
      expect(codeOf(() => posix.read(reader, into))).toBe("EBADF");
    });

    test("a full pipe would block, one without a reader is EPIPE", () => {
      const [reader, writer] = posix.pipe();
      posix.setNonblocking(writer, true);
      expect(posix.waitReady(writer, { writable: true }, 0)).toMatchObject({ writable: true });
      while (posix.write(writer, BYTES) !== undefined); // until it is full
      expect(posix.waitReady(writer, { writable: true }, 0)).toBeUndefined();
      posix.close(reader);
      expect(codeOf(() => posix.write(writer, BYTES))).toBe("EPIPE");
      posix.close(writer);
    });

    test("buffers are written one after the other, as far as there is room", () => {
      const [reader, writer] = posix.pipe();
      posix.setNonblocking(writer, true);
      const into = new Uint8Array(64);
      expect(posix.writev(writer, [BYTES, new Uint8Array(0), BYTES.subarray(4)])).toBe(16);
      expect(posix.read(reader, into)).toBe(16);
      expect(Buffer.from(into.subarray(0, 16)).toString()).toBe("some bytes bytes");
      expect(posix.writev(writer, [])).toBe(0);
      const many = Array.from({ length: WRITEV_BUFFERS_MAX + 1 }, () => Uint8Array.of(1));
      expect(posix.writev(writer, many)).toBe(WRITEV_BUFFERS_MAX);
      expect(posix.writev(writer, [BYTES, new Uint8Array(1_000_000)])).toBeLessThan(1_000_000);
      expect(posix.writev(writer, [BYTES])).toBeUndefined();
      posix.close(reader);
      expect(codeOf(() => posix.writev(writer, [BYTES]))).toBe("EPIPE");
      posix.close(writer);
    });

    test("a copy keeps a pipe open", () => {
      const [reader, writer] = posix.pipe();
      const copy = posix.dup(writer, 50);
      expect(copy).toBeGreaterThanOrEqual(50);
      posix.close(writer);
      posix.setNonblocking(reader, true);
      expect(posix.read(reader, new Uint8Array(1))).toBeUndefined();
      posix.close(copy);
      expect(posix.read(reader, new Uint8Array(1))).toBe(0);
      posix.close(reader);
    });

    test("a socket can be peeked into without taking or waiting for anything", () => {
      const [one, other] = posix.socketPair("stream");
      const into = new Uint8Array(6);
      expect([posix.isNonblocking(other), posix.peek(other, into)]).toEqual([false, undefined]);
      posix.write(one, BYTES);
      expect([posix.peek(other, into), posix.peek(other, into)]).toEqual([6, 6]);
      expect(Buffer.from(into).toString()).toBe("some b");
      expect(posix.read(other, new Uint8Array(9))).toBe(9);
      expect(posix.peek(other, into)).toBe(1);
      expect(posix.read(other, into)).toBe(1);
      posix.close(one);
      expect(posix.peek(other, into)).toBe(0);
      const [reader, writer] = posix.pipe();
      expect(codeOf(() => posix.peek(reader, into))).toBe("ENOTSOCK");
      for (const fd of [other, reader, writer]) posix.close(fd);
    });

    test("descriptors are passed with a message", () => {
      const [one, other] = posix.socketPair("stream");
      const [reader, writer] = posix.pipe();
      expect(posix.sendMessage(one, BYTES, [writer])).toBe(10);
      posix.close(writer);
      const message = posix.receiveMessage(other, new Uint8Array(64));
      expect(message).toMatchObject({ bytes: 10, lostFds: false, wasCut: false });
      for (const fd of message?.fds ?? []) {
        posix.write(fd, BYTES);
        posix.close(fd);
      }
      expect(posix.read(reader, new Uint8Array(64))).toBe(10);
      expect(posix.read(reader, new Uint8Array(64))).toBe(0);
      for (const fd of [one, other, reader]) posix.close(fd);
    });

    const loopback = { family: "inet", bytes: Uint8Array.of(127, 0, 0, 1), port: 0, scope: 0 };
    const addresses = [loopback, { family: "unix", path: `${folder}/socket` }] as SocketAddress[];
    test.each(addresses)("connections are made through a $family listener", (address) => {
      const listener = posix.socket(address.family, "stream");
      posix.bind(listener, address);
      posix.listen(listener, 4);
      expect([posix.isListening(listener), posix.isSocket(listener)]).toEqual([true, true]);
      expect(posix.accept(listener, 4)).toEqual([]);
      const local = posix.getsockname(listener);
      const client = posix.socket(address.family, "stream");
      if (!posix.connect(client, local)) posix.waitReady(client, { writable: true }, -1);
      expect(posix.socketError(client)).toBeUndefined();
      posix.waitReady(listener, { readable: true }, -1);
      const [accepted, ...more] = posix.accept(listener, 4);
      if (accepted === undefined) throw new Error("nothing was accepted");
      expect(more).toEqual([]);
      expect(accepted.peer).toEqual(posix.getsockname(client));
      expect(posix.getsockname(accepted.fd)).toEqual(local);
      expect(posix.isNonblocking(accepted.fd)).toBe(false);
      posix.write(accepted.fd, BYTES);
      posix.shutdown(accepted.fd, "write");
      posix.waitReady(client, { readable: true }, -1);
      expect(posix.read(client, new Uint8Array(64))).toBe(10);
      posix.waitReady(client, { readable: true }, -1);
      expect(posix.read(client, new Uint8Array(64))).toBe(0);
      for (const fd of [listener, client, accepted.fd]) posix.close(fd);
      const late = posix.socket(address.family, "stream");
      posix.setNonblocking(late, false);
      expect(codeOf(() => posix.connect(late, local))).toBe("ECONNREFUSED");
      posix.close(late);
    });

    test("calls on a file that is no socket are ENOTSOCK, and on a socket that is not connected ENOTCONN", () => {
      const [reader, writer] = posix.pipe();
      expect(codeOf(() => posix.accept(reader, 1))).toBe("ENOTSOCK");
      expect(codeOf(() => posix.sendMessage(writer, BYTES, []))).toBe("ENOTSOCK");
      const fd = posix.socket("inet", "stream");
      expect(codeOf(() => posix.getpeername(fd))).toBe("ENOTCONN");
      expect(codeOf(() => posix.accept(fd, 1))).toBe("EINVAL");
      for (const open of [reader, writer, fd]) posix.close(open);
    });

    test("datagrams have a sender", () => {
      const server = posix.socket("unix", "datagram");
      const client = posix.socket("unix", "datagram");
      const to: SocketAddress = { family: "unix", path: `${folder}/server` };
      const from: SocketAddress = { family: "unix", path: `${folder}/client` };
      posix.bind(server, to);
      posix.bind(client, from);
      expect(posix.receiveMessage(server, new Uint8Array(4))).toBeUndefined();
      posix.sendMessage(client, BYTES, [], to);
      expect(posix.receiveMessage(server, new Uint8Array(4))).toMatchObject({
        bytes: 4,
        from,
        wasCut: true,
        lostFds: false,
      });
      posix.sendMessage(client, BYTES, [], to);
      expect(posix.receiveMessage(server, new Uint8Array(10))).toMatchObject({
        bytes: 10,
        wasCut: false,
      });
      expect(posix.receiveMessage(server, new Uint8Array(4))).toBeUndefined();
      for (const fd of [server, client]) posix.close(fd);
    });
  });

  unixConformance(kernel, posix, folder);

  describe(`files of the ${kernel} kernel`, () => {
    test("files are made, written, appended to and read", () => {
      const path = `${folder}/file`;
      expect(codeOf(() => posix.open(path, "read"))).toBe("ENOENT");
      expect([posix.readable(path), posix.fileVersion(path)]).toEqual(["ENOENT", "ENOENT"]);
      const writer = posix.open(path, "write", { create: 0o600, exclusive: true });
      posix.write(writer, BYTES);
      expect(codeOf(() => posix.read(writer, new Uint8Array(1)))).toBe("EBADF");
      posix.close(writer);
      const appender = posix.open(path, "readwrite", { append: true });
      posix.write(appender, BYTES);
      posix.close(appender);
      expect(posix.fileVersion(path)).toMatchObject({ sizeBytes: 20, mode: 0o100600 });
      expect(posix.readable(path)).toBeUndefined();
      const reader = posix.open(path, "read");
      expect(posix.accessMode(reader)).toBe("read");
      expect(posix.read(reader, new Uint8Array(64))).toBe(20);
      posix.close(reader);
      expect(codeOf(() => posix.open(path, "write", { create: 0, exclusive: true }))).toBe(
        "EEXIST",
      );
    });

    test("files are locked by one open file at a time, or shared", () => {
      const path = `${folder}/lock`;
      const one = posix.open(path, "readwrite", { create: 0o600 });
      const other = posix.open(path, "readwrite");
      expect(posix.flock(one, "exclusive", false)).toBe(true);
      expect(posix.flock(other, "shared", false)).toBe(false);
      posix.close(one);
      expect(posix.flock(other, "exclusive", false)).toBe(true);
      posix.close(other);
    });

    test("fifos open as POSIX requires", () => {
      const path = `${folder}/fifo`;
      posix.mkfifo(path, 0o600);
      expect(codeOf(() => posix.mkfifo(path, 0o600))).toBe("EEXIST");
      const options = { nonblocking: true };
      expect(codeOf(() => posix.open(path, "write", options))).toBe("ENXIO");
      const reader = posix.open(path, "read", options);
      const writer = posix.open(path, "write", options);
      expect(posix.read(reader, new Uint8Array(4))).toBeUndefined();
      posix.write(writer, BYTES);
      expect(posix.read(reader, new Uint8Array(4))).toBe(4);
      posix.close(reader);
      posix.close(writer);
    });
  });

  test(`one descriptor has one watch in the ${kernel} kernel`, () => {
    const [reader, writer] = posix.pipe();
    const watch = posix.watch(reader, { readable: true }, () => undefined);
    expect(codeOf(() => posix.watch(reader, { readable: true }, () => undefined))).toBe("EEXIST");
    watch.close();
    posix.watch(reader, { readable: true }, () => undefined).close();
    posix.close(reader);
    posix.close(writer);
  });
}
