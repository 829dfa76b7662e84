/** Sockets of the fake kernel, which reach one another by address. */

import { encodeBytes } from "../../../src/posix/bytes.ts";
import {
  UNIX_PATH_BYTES_MAX,
  type Accepted,
  type Fd,
  type PeerCredentials,
  type Posix,
  type ReceivedMessage,
  type SocketAddress,
  type SocketType,
} from "../../../src/posix/posix.ts";
import { Channel, connectedPair, OpenFile, type FakeFile, type FakeSocket } from "./fake-file.ts";
import { FakeFiles } from "./fake-files.ts";
import { hasSocket, OWN_PID, systemError, type OpenSocket } from "./fake-kernel.ts";

const RIGHTS_MAX = 253;
const FIRST_EPHEMERAL_PORT = 49_152;
const NOWHERE: SocketAddress = { family: "unix", path: "" };

export class FakeSockets extends FakeFiles {
  credentials: PeerCredentials = { pid: OWN_PID, uid: 0, gid: 0 };
  /** Sockets by the files that bind made of their paths, and by their addresses where these are no paths. */
  readonly #bound = new Map<string | FakeFile, OpenFile>();
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

  socket(family: SocketAddress["family"], type: SocketType): Fd {
    this.mayFail("socket");
    const opened = new OpenFile("readwrite", true);
    opened.socket = newSocket(family, type);
    if (type === "datagram") opened.attach(openChannel(), undefined);
    return this.fds.add(opened);
  }

  socketPair(type: SocketType): readonly [Fd, Fd] {
    this.mayFail("socketPair");
    const [one, other] = connectedPair(() => {
      const opened = new OpenFile("readwrite");
      opened.socket = newSocket("unix", type);
      return opened;
    });
    return [this.fds.add(one), this.fds.add(other)];
  }

  bind(fd: Fd, address: SocketAddress, at?: Fd): void {
    this.mayFail("bind");
    const opened = this.openedSocket(fd, "bind");
    if (opened.socket.local !== undefined) throw systemError("EINVAL", "bind");
    const local = this.#withPort(address);
    this.#bound.set(
      isPath(local) ? this.#socketFile(local.path, at) : this.#freeName(local),
      opened,
    );
    opened.socket.local = local;
  }

  listen(fd: Fd, backlog: number): void {
    this.mayFail("listen");
    const { socket } = this.openedSocket(fd, "listen");
    if (socket.type === "datagram") throw systemError("EOPNOTSUPP", "listen");
    socket.backlog ??= [];
    socket.backlogMax = backlog;
  }

  connect(fd: Fd, address: SocketAddress, at?: Fd): boolean {
    this.mayFail("connect");
    const opened = this.openedSocket(fd, "connect");
    const target = this.#boundTo(address, at, "connect");
    if (target.socket.type !== opened.socket.type) throw systemError("EPROTOTYPE", "connect");
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

  socketType(fd: Fd): SocketType {
    this.mayFail("socketType");
    return this.openedSocket(fd, "getsockopt").socket.type;
  }

  peerCredentials(fd: Fd): PeerCredentials {
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
      if (isFull(opened.outgoing)) return undefined;
      return this.putInto(opened, opened.outgoing, bytes, rights, "sendmsg");
    }
    if (address === undefined) throw systemError("ENOTCONN", "sendmsg");
    const { incoming } = this.#boundTo(address, undefined, "sendmsg");
    if (incoming === undefined) throw systemError("EPROTOTYPE", "sendmsg");
    return isFull(incoming) ? undefined : this.putInto(opened, incoming, bytes, rights, "sendmsg");
  }

  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined {
    this.mayFail("receiveMessage");
    const opened = this.openedSocket(fd, "recvmsg");
    if (isEmpty(opened)) return undefined;
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

  /** The file that a socket makes of its path. */
  #socketFile(path: string, at: Fd | undefined): FakeFile {
    checkLength(path, "bind");
    const resolved = this.resolve(path, at, false, "bind");
    if (this.files.has(resolved)) throw systemError("EADDRINUSE", "bind");
    return this.tree.put(resolved, "socket", new Uint8Array(0), 0o777 & ~this.mask);
  }

  /** The key of an address that is no path and that no open socket has. */
  #freeName(address: SocketAddress): string {
    const name = nameOf(address);
    const holder = this.#bound.get(name);
    if (holder !== undefined && this.#isHeld(holder)) throw systemError("EADDRINUSE", "bind");
    return name;
  }

  /** The open socket that has an address. */
  #boundTo(address: SocketAddress, at: Fd | undefined, call: string): OpenSocket {
    const key = isPath(address) ? this.#fileAt(address.path, at, call) : nameOf(address);
    const target = this.#bound.get(key);
    if (target === undefined || !this.#isHeld(target) || !hasSocket(target)) {
      throw systemError("ECONNREFUSED", call);
    }
    return target;
  }

  #fileAt(path: string, at: Fd | undefined, call: string): FakeFile {
    checkLength(path, call);
    const file = this.files.get(this.resolve(path, at, true, call));
    if (file === undefined) throw systemError("ENOENT", call);
    return file;
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
    const { backlog, backlogMax = 0, family, type, local = NOWHERE } = listener.socket;
    if (backlog === undefined) throw systemError("ECONNREFUSED", "connect");
    if (family === "unix" && backlog.length > backlogMax) throw systemError("EAGAIN", "connect");
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

function isPath(address: SocketAddress): address is { family: "unix"; path: string } {
  return address.family === "unix" && !address.path.startsWith("\0");
}

function checkLength(path: string, call: string): void {
  if (path === "") throw systemError("ENOENT", call);
  if (encodeBytes(path).length > UNIX_PATH_BYTES_MAX) throw systemError("ENAMETOOLONG", call);
}

function isFull(channel: Channel): boolean {
  return channel.readers > 0 && !channel.isWritable;
}

/** Would a call that receives have to wait? */
function isEmpty({ incoming, socket }: OpenFile): boolean {
  if (incoming === undefined || incoming.isReadable) return false;
  return incoming.writers > 0 || socket?.type === "datagram";
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
