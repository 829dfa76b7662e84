/** Unix-domain sockets, as every kernel has them: the real one and the fake. */
import { describe, expect, test } from "vitest";

import type { Fd, Posix, SocketAddress, SocketType } from "../../src/posix/posix.ts";
import { codeOf } from "./program.ts";

const BYTES = Buffer.from("some bytes");

/** `folder` is where sockets may be made; it ends without a slash. */
export function unixConformance(kernel: string, posix: Posix, folder: string): void {
  const at = (name: string): SocketAddress => ({ family: "unix", path: `${folder}/${name}` });
  const bound = (address: SocketAddress, type: SocketType = "stream"): Fd => {
    const fd = posix.socket("unix", type);
    posix.bind(fd, address);
    return fd;
  };
  const connecting = (address: SocketAddress, type: SocketType = "stream"): string | undefined => {
    const fd = posix.socket("unix", type);
    const code = codeOf(() => posix.connect(fd, address));
    posix.close(fd);
    return code;
  };

  describe(`Unix sockets of the ${kernel} kernel`, () => {
    test.each(["stream", "seqpacket"] as const)("%s sockets accept connections", (type) => {
      const address = at(`accepting-${type}`);
      const listener = bound(address, type);
      posix.listen(listener, 4);
      const client = posix.socket("unix", type);
      expect(posix.socketType(client)).toBe(type);
      expect(posix.connect(client, address)).toBe(true);
      const [accepted] = posix.accept(listener, 4);
      if (accepted === undefined) throw new Error("nothing was accepted");
      expect([posix.socketType(accepted.fd), posix.isNonblocking(accepted.fd)]).toEqual([
        type,
        false,
      ]);
      expect(posix.receiveMessage(accepted.fd, new Uint8Array(4))).toBeUndefined();
      posix.sendMessage(client, BYTES, []);
      const wasCut = type === "seqpacket";
      expect(posix.receiveMessage(accepted.fd, new Uint8Array(4))).toMatchObject({
        bytes: 4,
        wasCut,
      });
      posix.close(client);
      const rest = posix.receiveMessage(accepted.fd, new Uint8Array(16))?.bytes;
      expect(rest).toBe(type === "stream" ? BYTES.length - 4 : 0);
      for (const fd of [listener, accepted.fd]) posix.close(fd);
    });

    test("a datagram socket is connected, and does not listen", () => {
      const address = at("datagrams");
      const server = bound(address, "datagram");
      expect(posix.socketType(server)).toBe("datagram");
      expect(codeOf(() => posix.listen(server, 1))).toBe("EOPNOTSUPP");
      const client = posix.socket("unix", "datagram");
      expect(posix.connect(client, address)).toBe(true);
      posix.sendMessage(client, BYTES, []);
      expect(posix.receiveMessage(server, new Uint8Array(16))).toMatchObject({ bytes: 10 });
      expect(posix.receiveMessage(server, new Uint8Array(16))).toBeUndefined();
      for (const fd of [server, client]) posix.close(fd);
    });

    test("a path is bound once, whatever has it, and a socket too", () => {
      const address = at("taken");
      const one = bound(address);
      expect(codeOf(() => posix.bind(one, at("another")))).toBe("EINVAL");
      const other = posix.socket("unix", "stream");
      expect(codeOf(() => posix.bind(other, address))).toBe("EADDRINUSE");
      posix.close(one);
      expect(codeOf(() => posix.bind(other, address))).toBe("EADDRINUSE");
      posix.unlink(`${folder}/taken`);
      posix.bind(other, address);
      posix.close(other);
    });

    test("a connection says what became of the server of a path", () => {
      const address = at("fate");
      expect(connecting(address)).toBe("ENOENT");
      const server = bound(address);
      expect(connecting(address)).toBe("ECONNREFUSED");
      expect(connecting(address, "datagram")).toBe("EPROTOTYPE");
      posix.listen(server, 1);
      expect(connecting(address)).toBeUndefined();
      expect(connecting(address, "seqpacket")).toBe("EPROTOTYPE");
      posix.close(server);
      expect(connecting(address)).toBe("ECONNREFUSED");
      posix.unlink(`${folder}/fate`);
      posix.close(posix.open(`${folder}/fate`, "write", { create: 0o600 }));
      expect(connecting(address)).toBe("ECONNREFUSED");
      expect(connecting(at("fate/below"))).toBe("ENOTDIR");
    });

    test("connections are refused for now while the backlog is full", () => {
      const address = at("busy");
      const server = bound(address);
      posix.listen(server, 0);
      const clients = [0, 1].map(() => posix.socket("unix", "stream"));
      const codes = clients.map((fd) => codeOf(() => posix.connect(fd, address)));
      expect(codes).toEqual([undefined, "EAGAIN"]);
      for (const { fd } of posix.accept(server, 4)) posix.close(fd);
      expect(clients.slice(1).map((fd) => posix.connect(fd, address))).toEqual([true]);
      for (const fd of [server, ...clients]) posix.close(fd);
    });

    test("a server that was renamed is found at its new path and only there", () => {
      const server = bound(at("old"));
      posix.listen(server, 1);
      posix.rename(`${folder}/old`, `${folder}/new`);
      expect([connecting(at("old")), connecting(at("new"))]).toEqual(["ENOENT", undefined]);
      posix.close(server);
    });

    test("paths start from a directory", () => {
      posix.mkdir(`${folder}/directory`, 0o700);
      const directory = posix.open(`${folder}/directory`, "read");
      const name: SocketAddress = { family: "unix", path: "name" };
      const server = posix.socket("unix", "stream");
      posix.bind(server, name, directory);
      posix.listen(server, 1);
      posix.rename(`${folder}/directory`, `${folder}/renamed`);
      const client = posix.socket("unix", "stream");
      expect(posix.connect(client, name, directory)).toBe(true);
      expect(connecting(at("renamed/name"))).toBeUndefined();
      for (const fd of [client, server, directory]) posix.close(fd);
    });

    test("a path may be neither empty nor longer than 107 bytes", () => {
      const long = "x".repeat(107);
      for (const path of ["", `${long}x`, `${long.slice(1)}\u00e9`]) {
        const expected = path === "" ? "ENOENT" : "ENAMETOOLONG";
        const address: SocketAddress = { family: "unix", path };
        const fd = posix.socket("unix", "stream");
        expect([codeOf(() => posix.bind(fd, address)), connecting(address)]).toEqual([
          expected,
          expected,
        ]);
        posix.close(fd);
      }
    });

    test("abstract names belong to the sockets that have them, and to no file", () => {
      const address: SocketAddress = {
        family: "unix",
        path: `\0conformance of ${kernel} ${folder}`,
      };
      expect(connecting(address)).toBe("ECONNREFUSED");
      const server = bound(address);
      posix.listen(server, 1);
      expect(posix.getsockname(server)).toEqual(address);
      expect(connecting(address)).toBeUndefined();
      const second = posix.socket("unix", "stream");
      expect(codeOf(() => posix.bind(second, address))).toBe("EADDRINUSE");
      posix.close(server);
      posix.bind(second, address);
      posix.close(second);
    });

    test("a socket's file has the permissions that the umask leaves", () => {
      const before = posix.umask(0o027);
      const server = bound(at("permissions"));
      posix.umask(before);
      expect(posix.linkVersion(`${folder}/permissions`)).toMatchObject({ mode: 0o140750 });
      posix.close(server);
    });

    test("messages never wait, whatever the mode of the socket", () => {
      const [one, other] = posix.socketPair("stream");
      expect([posix.isNonblocking(one), posix.isNonblocking(other)]).toEqual([false, false]);
      expect(posix.receiveMessage(one, new Uint8Array(4))).toBeUndefined();
      const chunk = new Uint8Array(65_536);
      while (posix.sendMessage(one, chunk, []) !== undefined); // until it is full
      expect(posix.receiveMessage(other, chunk)?.bytes).toBeGreaterThan(0);
      for (const fd of [one, other]) posix.close(fd);
    });
  });
}
