/** Sockets of the fake kernel, which reach one another by address. */

import type {
  Accepted,
  Fd,
  Gid,
  Pid,
  Posix,
  ReceivedMessage,
  SocketAddress,
  Uid,
} from "../../../src/posix/posix.ts";
import { Channel, connectedPair, OpenFile, type FakeSocket } from "./fake-file.ts";
import { FakeFiles } from "./fake-files.ts";
import { hasSocket, OWN_PID, systemError, type OpenSocket } from "./fake-kernel.ts";

const RIGHTS_MAX = 253;
const FIRST_EPHEMERAL_PORT = 49_152;
const NOWHERE: SocketAddress = { family: "unix", path: "" };

export class FakeSockets extends FakeFiles {
  credentials = { pid: OWN_PID, uid: 0, gid: 0 };
  readonly #bound = new Map<string, OpenFile>();
  #lastPort = FIRST_EPHEMERAL_PORT;

  /** Connect to a listening socket as `peer` would; the result is the peer's end. */
  connectFrom(peer: SocketAddress, listener: Fd): Fd {
    const listening = this.openedSocket(listener, "connect");
    return this.fds.add(this.#reach(listening, peer, true));
  }

  /** Was this option switched on? */
  hasOption(fd: Fd, setter: keyof Posix): boolean {
    return this.openedSocket(fd, "getsockopt").socket.options.get(setter) ?? false;
  }

  socket(family: SocketAddress["family"], type: "stream" | "datagram"): Fd {
    this.mayFail("socket");
    const opened = new OpenFile("readwrite", true);
    opened.socket = newSocket(family, type);
    if (type === "datagram") opened.attach(openChannel(), undefined);
    return this.fds.add(opened);
  }

  socketPair(type: "stream" | "datagram" | "seqpacket"): readonly [Fd, Fd] {
    this.mayFail("socketPair");
    const [one, other] = connectedPair(() => {
      const opened = new OpenFile("readwrite");
      opened.socket = newSocket("unix", type);
      return opened;
    });
    return [this.fds.add(one), this.fds.add(other)];
  }

  bind(fd: Fd, address: SocketAddress): void {
    this.mayFail("bind");
    const opened = this.openedSocket(fd, "bind");
    const local = this.#withPort(address);
    const holder = this.#bound.get(nameOf(local));
    if (holder !== undefined && this.#isHeld(holder)) throw systemError("EADDRINUSE", "bind");
    opened.socket.local = local;
    this.#bound.set(nameOf(local), opened);
    if (local.family === "unix") {
      this.tree.put(local.path, "socket", new Uint8Array(0), 0o777 & ~this.mask);
    }
  }

  listen(fd: Fd): void {
    this.mayFail("listen");
    this.openedSocket(fd, "listen").socket.backlog ??= [];
  }

  connect(fd: Fd, address: SocketAddress): boolean {
    this.mayFail("connect");
    const opened = this.openedSocket(fd, "connect");
    const target = this.#bound.get(nameOf(address));
    if (target === undefined || !this.#isHeld(target) || !hasSocket(target)) {
      throw systemError("ECONNREFUSED", "connect");
    }
    opened.socket.peer = address;
    if (opened.socket.type === "datagram") return true;
    const local = opened.socket.local ?? this.#withPort(unnamed(address));
    const end = this.#reach(target, local, false);
    opened.socket.local = local;
    if (end.incoming !== undefined && end.outgoing !== undefined) {
      opened.attach(end.incoming, end.outgoing);
    }
    return true;
  }

  socketError(fd: Fd): string | undefined {
    const opened = this.openedSocket(fd, "getsockopt");
    const code = this.nextFailure("socketError") ?? opened.socket.error;
    delete opened.socket.error;
    return code;
  }

  accept(fd: Fd, most: number): readonly Accepted[] {
    this.mayFail("accept");
    const { backlog } = this.openedSocket(fd, "accept4").socket;
    if (backlog === undefined) throw systemError("EINVAL", "accept4");
    return backlog.splice(0, most).map((opened) => {
      const accepted = this.fds.add(opened);
      opened.release(); // the reference of the backlog
      return { fd: accepted, peer: opened.socket?.peer ?? NOWHERE };
    });
  }

  getsockname(fd: Fd): SocketAddress {
    this.mayFail("getsockname");
    return this.openedSocket(fd, "getsockname").socket.local ?? NOWHERE;
  }

  getpeername(fd: Fd): SocketAddress {
    this.mayFail("getpeername");
    const { socket, incoming } = this.openedSocket(fd, "getpeername");
    if (incoming === undefined) throw systemError("ENOTCONN", "getpeername");
    return socket.peer ?? NOWHERE;
  }

  shutdown(fd: Fd, how: "read" | "write" | "both"): void {
    this.mayFail("shutdown");
    const opened = this.openedSocket(fd, "shutdown");
    if (opened.incoming === undefined) throw systemError("ENOTCONN", "shutdown");
    opened.shutdown(how);
  }

  setReuseAddress(fd: Fd, on: boolean): void {
    this.#setOption(fd, "setReuseAddress", on);
  }

  setReusePort(fd: Fd, on: boolean): void {
    this.#setOption(fd, "setReusePort", on);
  }

  setNoDelay(fd: Fd, on: boolean): void {
    this.#setOption(fd, "setNoDelay", on);
  }

  setKeepAlive(fd: Fd, on: boolean): void {
    this.#setOption(fd, "setKeepAlive", on);
  }

  isListening(fd: Fd): boolean {
    return this.openedSocket(fd, "getsockopt").socket.backlog !== undefined;
  }

  peerCredentials(fd: Fd): { readonly pid: Pid; readonly uid: Uid; readonly gid: Gid } {
    this.mayFail("peerCredentials");
    this.openedSocket(fd, "getsockopt");
    return this.credentials;
  }

  sendMessage(
    fd: Fd,
    bytes: Uint8Array,
    fds: readonly Fd[],
    to?: SocketAddress,
  ): number | undefined {
    this.mayFail("sendMessage");
    if (fds.length > RIGHTS_MAX) throw systemError("EINVAL", "sendmsg");
    const opened = this.openedSocket(fd, "sendmsg");
    const rights = fds.map((right) => this.opened(right, "sendmsg"));
    const address = to ?? opened.socket.peer;
    if (opened.outgoing !== undefined) {
      return this.putInto(opened, opened.outgoing, bytes, rights, "sendmsg");
    }
    if (address === undefined) throw systemError("ENOTCONN", "sendmsg");
    const target = this.#bound.get(nameOf(address));
    if (target?.incoming === undefined) throw systemError("ECONNREFUSED", "sendmsg");
    return this.putInto(opened, target.incoming, bytes, rights, "sendmsg");
  }

  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined {
    this.mayFail("receiveMessage");
    const opened = this.openedSocket(fd, "recvmsg");
    let message: ReceivedMessage = { bytes: 0, fds: [], lostFds: false, wasCut: false };
    const bytes = this.takeFrom(opened, into.length, "recvmsg", (parcel) => {
      into.set(parcel.bytes);
      const fds = parcel.rights.map((right) => {
        const received = this.fds.add(right);
        right.release(); // the reference of the message
        return received;
      });
      message = { ...message, bytes: parcel.bytes.length, fds, wasCut: parcel.wasCut ?? false };
      if (parcel.from !== undefined) message = { ...message, from: parcel.from };
      return parcel.bytes.length;
    });
    return bytes === undefined ? undefined : message;
  }

  #isHeld(opened: OpenFile): boolean {
    return this.fds.numbers.some((fd) => this.fds.get(fd) === opened);
  }

  #setOption(fd: Fd, setter: keyof Posix, on: boolean): void {
    this.mayFail(setter);
    this.openedSocket(fd, "setsockopt").socket.options.set(setter, on);
  }

  /** An address with a port of its own where port 0 asked for one. */
  #withPort(address: SocketAddress): SocketAddress {
    if (address.family === "unix" || address.port !== 0) return address;
    return { ...address, port: ++this.#lastPort };
  }

  /** Queue a connection at a listener; the result is the end of who connects. */
  #reach(listener: OpenSocket, from: SocketAddress, isNonblocking: boolean): OpenFile {
    const { backlog, family, type, local = NOWHERE } = listener.socket;
    if (backlog === undefined) throw systemError("ECONNREFUSED", "connect");
    const [near, far] = connectedPair(() => {
      const opened = new OpenFile("readwrite");
      opened.socket = newSocket(family, type);
      return opened;
    });
    near.isNonblocking = isNonblocking;
    Object.assign(near.socket ?? {}, { local: from, peer: local });
    Object.assign(far.socket ?? {}, { local, peer: from });
    backlog.push(far.retain());
    return near;
  }
}

function newSocket(family: SocketAddress["family"], type: FakeSocket["type"]): FakeSocket {
  return { family, type, options: new Map() };
}

/** A channel that every process may send to: it never comes to an end. */
function openChannel(): Channel {
  const channel = new Channel();
  channel.writers = 1;
  return channel;
}

/** One spelling for each address, as a key. */
function nameOf(address: SocketAddress): string {
  if (address.family === "unix") return `unix ${address.path}`;
  return `${address.family} ${Buffer.from(address.bytes).toString("hex")} ${address.port}`;
}

/** The address an unbound socket gets when it connects to `address`. */
function unnamed(address: SocketAddress): SocketAddress {
  return address.family === "unix" ? NOWHERE : { ...address, port: 0 };
}
