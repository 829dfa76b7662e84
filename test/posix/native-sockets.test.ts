/** Sockets on the real kernel: addresses, accepting, connecting, messages with descriptors. */
import { lstatSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, SocketAddress } from "../../src/posix/posix.ts";
import { codeOf, run, runFixture, temporaryFolder } from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

const LOCALHOST4 = {
  family: "inet",
  bytes: Uint8Array.of(127, 0, 0, 1),
  port: 0,
  scope: 0,
} as const;
const LOCALHOST6 = {
  family: "inet6",
  bytes: Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0)),
  port: 0,
  scope: 0,
} as const;

function listenOn(address: SocketAddress): Fd {
  const fd = posix.socket(address.family, "stream");
  posix.bind(fd, address);
  posix.listen(fd, 20);
  return fd;
}

function closeAll(...fds: Fd[]): void {
  for (const fd of fds) posix.close(fd);
}

const hasIp6 = codeOf(() => closeAll(listenOn(LOCALHOST6))) === undefined;

describe("connections", () => {
  const families: readonly SocketAddress[] = [
    LOCALHOST4,
    ...(hasIp6 ? [LOCALHOST6] : []),
    { family: "unix", path: folder.file("stream") },
    { family: "unix", path: `\0ucspi-${process.pid}` },
  ];

  test.each(families.map((address) => ({ address, family: address.family })))(
    "connections are made through a listener ($family)",
    ({ address }) => {
      const listener = listenOn(address);
      const local = posix.getsockname(listener);
      expect(local.family).toBe(address.family);
      if (address.family === "unix") expect(local).toEqual(address);
      expect(posix.accept(listener, 8)).toEqual([]);
      const clients = [0, 1, 2].map(() => posix.socket(address.family, "stream"));
      for (const client of clients) {
        if (!posix.connect(client, local)) posix.waitReady(client, { writable: true }, -1);
        expect(posix.socketError(client)).toBeUndefined();
        expect(posix.getpeername(client)).toEqual(local);
      }
      const accepted = [...posix.accept(listener, 2), ...posix.accept(listener, 100)];
      expect(accepted.map(({ peer }) => peer)).toEqual(clients.map((fd) => posix.getsockname(fd)));
      expect(accepted.map(({ fd }) => posix.isNonblocking(fd))).toEqual([false, false, false]);
      closeAll(listener, ...clients, ...accepted.map(({ fd }) => fd));
    },
  );

  test("connections are accepted close-on-exec", () => {
    const listener = listenOn(LOCALHOST4);
    const client = posix.socket("inet", "stream");
    posix.connect(client, posix.getsockname(listener));
    posix.waitReady(listener, { readable: true }, -1);
    const accepted = posix.accept(listener, 1).map(({ fd }) => fd);
    const inherited = run(["ls", "/proc/self/fd"]).stdout.trim().split("\n").map(Number);
    for (const fd of [listener, client, ...accepted]) expect(inherited).not.toContain(fd);
    closeAll(listener, client, ...accepted);
  });

  test("connections are refused where no process listens", () => {
    const listener = listenOn(LOCALHOST4);
    const nowhere = posix.getsockname(listener);
    posix.close(listener);
    const client = posix.socket("inet", "stream");
    const outcome = codeOf(() => {
      if (posix.connect(client, nowhere)) return;
      posix.waitReady(client, { writable: true }, -1);
      throw Object.assign(new Error("later"), { code: posix.socketError(client) });
    });
    expect(outcome).toBe("ECONNREFUSED");
    posix.close(client);
    const local = posix.socket("unix", "stream");
    const missing = { family: "unix", path: folder.file("nobody") } as const;
    expect(codeOf(() => posix.connect(local, missing))).toBe("ENOENT");
    posix.close(local);
  });

  test("connections end with shutdown, one direction at a time", () => {
    const [one, other] = posix.socketPair("stream");
    posix.shutdown(one, "write");
    expect(posix.read(other, new Uint8Array(1))).toBe(0);
    expect(posix.write(other, Buffer.from("x"))).toBe(1);
    posix.shutdown(other, "both");
    closeAll(one, other);
    const unconnected = posix.socket("inet", "stream");
    expect(codeOf(() => posix.shutdown(unconnected, "read"))).toBe("ENOTCONN");
    expect(codeOf(() => posix.getpeername(unconnected))).toBe("ENOTCONN");
    posix.close(unconnected);
  });
});

describe("sockets", () => {
  test("sockets fail with the errors of the kernel", () => {
    const listener = listenOn(LOCALHOST4);
    const second = posix.socket("inet", "stream");
    expect(codeOf(() => posix.bind(second, posix.getsockname(listener)))).toBe("EADDRINUSE");
    expect(codeOf(() => posix.accept(second, 1))).toBe("EINVAL");
    closeAll(listener, second);
    const [reader, writer] = posix.pipe();
    const calls: readonly (() => unknown)[] = [
      () => posix.accept(reader, 1),
      () => posix.listen(reader, 1),
      () => posix.getsockname(reader),
      () => posix.setNoDelay(reader, true),
      () => posix.isListening(reader),
      () => posix.peerCredentials(reader),
      () => posix.socketError(reader),
      () => posix.receiveMessage(reader, new Uint8Array(1)),
      () => posix.sendMessage(reader, new Uint8Array(1), []),
    ];
    expect(calls.map(codeOf)).toEqual(calls.map(() => "ENOTSOCK"));
    closeAll(reader, writer);
  });

  test("sockets take their options", () => {
    const fd = posix.socket("inet", "stream");
    for (const on of [true, false]) {
      posix.setReuseAddress(fd, on);
      posix.setReusePort(fd, on);
      posix.setNoDelay(fd, on);
      posix.setKeepAlive(fd, on);
    }
    expect(posix.isListening(fd)).toBe(false);
    posix.bind(fd, LOCALHOST4);
    posix.listen(fd, 1);
    expect(posix.isListening(fd)).toBe(true);
    posix.close(fd);
  });

  test("sockets that share a port may do so with reusePort", () => {
    const [one, other] = [posix.socket("inet", "stream"), posix.socket("inet", "stream")];
    posix.setReusePort(one, true);
    posix.setReusePort(other, true);
    posix.bind(one, LOCALHOST4);
    posix.bind(other, posix.getsockname(one));
    closeAll(one, other);
  });

  test.skipIf(!hasIp6)("sockets of IPv6 leave the IPv4 port alone", () => {
    // The port may be somebody else's in IPv4: once in a while, and never ten times in a row.
    const codes = Array.from({ length: 10 }, () => {
      const six = listenOn({ ...LOCALHOST6, bytes: new Uint8Array(16) });
      const local = posix.getsockname(six);
      const port = local.family === "unix" ? 0 : local.port;
      const four = posix.socket("inet", "stream");
      const code = codeOf(() =>
        posix.bind(four, { ...LOCALHOST4, bytes: new Uint8Array(4), port }),
      );
      closeAll(six, four);
      return code;
    });
    expect(codes).toContain(undefined);
  });

  test("sockets take the longest path that fits, refuse a longer one, and have none before they are bound", () => {
    const fits = `/tmp/${"x".repeat(102)}`;
    const fd = posix.socket("unix", "stream");
    const bind = (path: string): string | undefined =>
      codeOf(() => posix.bind(fd, { family: "unix", path }));
    expect(bind(`${fits}x`)).toBe("ENAMETOOLONG");
    expect(posix.getsockname(fd)).toEqual({ family: "unix", path: "" });
    const path = folder.file("\udcff");
    expect(bind(path)).toBeUndefined();
    expect(posix.getsockname(fd)).toEqual({ family: "unix", path });
    expect(
      lstatSync(Buffer.concat([Buffer.from(`${folder.path}/`), Buffer.from([255])])),
    ).toBeTruthy();
    posix.close(fd);
  });

  test("sockets take an abstract name of 108 bytes, and no path that holds a NUL", () => {
    const name = `\0${"n".repeat(107)}`;
    const fd = posix.socket("unix", "stream");
    const bind = (path: string): string | undefined =>
      codeOf(() => posix.bind(fd, { family: "unix", path }));
    expect([bind(`${name}n`), bind(folder.file("cut\0here"))]).toEqual(["ENAMETOOLONG", "EINVAL"]);
    expect(bind(name)).toBeUndefined();
    expect(posix.getsockname(fd)).toEqual({ family: "unix", path: name });
    posix.close(fd);
  });

  test("sockets of other types than ours are told from them", () => {
    const listener = listenOn(LOCALHOST4);
    expect(posix.socketType(listener)).toBe("stream");
    posix.close(listener);
    const [reader, writer] = posix.pipe();
    expect(codeOf(() => posix.socketType(reader))).toBe("ENOTSOCK");
    closeAll(reader, writer);
  });

  test("sockets show the identity of the process that made them", () => {
    const [one, other] = posix.socketPair("stream");
    expect(posix.peerCredentials(one)).toEqual({
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    closeAll(one, other);
  });

  test("sockets report that the descriptor table is full, and lose nothing", () => {
    expect(JSON.parse(runFixture("descriptor-limit").stdout)).toEqual({
      accepted: 2,
      whenFull: "EMFILE",
      afterRoom: 1,
      received: 1,
      lostFds: true,
    });
  });
});

describe("messages", () => {
  test("messages carry descriptors that work", () => {
    const [one, other] = posix.socketPair("stream");
    const [reader, writer] = posix.pipe();
    expect(posix.sendMessage(one, Buffer.from("take this"), [writer])).toBe(9);
    posix.close(writer);
    const into = new Uint8Array(64);
    const message = posix.receiveMessage(other, into);
    expect(message).toMatchObject({ bytes: 9, lostFds: false, wasCut: false });
    expect(message).not.toHaveProperty("from");
    const [received = -1 as Fd] = message?.fds ?? [];
    posix.write(received, Buffer.from("works"));
    expect(posix.read(reader, into)).toBe(5);
    closeAll(one, other, reader, received);
  });

  test("messages carry 253 descriptors and not one more", () => {
    const [one, other] = posix.socketPair("stream");
    const most = Array.from({ length: 253 }, () => one);
    expect(posix.sendMessage(one, Buffer.from("x"), most)).toBe(1);
    const message = posix.receiveMessage(other, new Uint8Array(1));
    expect(message?.fds).toHaveLength(253);
    expect(new Set(message?.fds).size).toBe(253);
    expect(codeOf(() => posix.sendMessage(one, Buffer.from("x"), [...most, one]))).toBe("EINVAL");
    closeAll(one, other, ...(message?.fds ?? []));
  });

  test("received descriptors are close-on-exec", () => {
    const [one, other] = posix.socketPair("stream");
    posix.sendMessage(one, Buffer.from("x"), [one]);
    const { fds = [] } = posix.receiveMessage(other, new Uint8Array(1)) ?? {};
    const inherited = run(["ls", "/proc/self/fd"]).stdout.trim().split("\n").map(Number);
    expect(inherited).not.toContain(fds[0]);
    closeAll(one, other, ...fds);
  });

  test("messages would block, end, and break as the kernel does", () => {
    const [one, other] = posix.socketPair("stream");
    posix.setNonblocking(one, true);
    expect(posix.receiveMessage(one, new Uint8Array(1))).toBeUndefined();
    const chunk = new Uint8Array(65_536);
    while (posix.sendMessage(one, chunk, []) !== undefined); // until it is full
    posix.close(other);
    expect(codeOf(() => posix.sendMessage(one, chunk, []))).toBe("EPIPE");
    posix.close(one);
    const [left, right] = posix.socketPair("stream");
    posix.close(right);
    expect(posix.receiveMessage(left, chunk)).toEqual({
      bytes: 0,
      fds: [],
      lostFds: false,
      wasCut: false,
    });
    posix.close(left);
  });

  test("messages are datagrams between Unix sockets, with the sender's address", () => {
    const server = posix.socket("unix", "datagram");
    const client = posix.socket("unix", "datagram");
    const to: SocketAddress = { family: "unix", path: folder.file("server") };
    const from: SocketAddress = { family: "unix", path: folder.file("client") };
    posix.bind(server, to);
    const into = new Uint8Array(64);
    expect(posix.sendMessage(client, Buffer.from("anonymous"), [], to)).toBe(9);
    expect(posix.receiveMessage(server, into)).not.toHaveProperty("from.path", from.path);
    posix.bind(client, from);
    expect(posix.sendMessage(client, Buffer.from("named"), [], to)).toBe(5);
    expect(posix.receiveMessage(server, into)).toMatchObject({ bytes: 5, from });
    expect(posix.receiveMessage(server, into)).toBeUndefined();
    closeAll(server, client);
  });

  test("messages are UDP datagrams too", () => {
    const server = posix.socket("inet", "datagram");
    const client = posix.socket("inet", "datagram");
    posix.bind(server, LOCALHOST4);
    posix.sendMessage(client, Buffer.from("ping"), [], posix.getsockname(server));
    posix.waitReady(server, { readable: true }, -1);
    const message = posix.receiveMessage(server, new Uint8Array(64));
    const sender = posix.getsockname(client);
    expect(message?.from).toMatchObject({ family: "inet", port: "port" in sender && sender.port });
    closeAll(server, client);
  });

  test("messages keep their content, whatever it is", () => {
    const [one, other] = posix.socketPair("datagram");
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 2_000 }), (sent) => {
        posix.sendMessage(one, sent, []);
        const into = new Uint8Array(4_000);
        const bytes = posix.receiveMessage(other, into)?.bytes;
        expect(into.subarray(0, bytes)).toEqual(sent);
      }),
    );
    closeAll(one, other);
  });
});
