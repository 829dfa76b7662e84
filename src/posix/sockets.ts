/** Sockets: addresses, connections, options, and messages that carry descriptors. */

import { fdPair, type Fd, type Gid, type Pid, type Uid } from "./kernel.ts";
import { AddressRecords, addressParts, familyNumber, type AddressParts } from "./native-address.ts";
import type { SocketAddress } from "./socket-address.ts";

/** The result of accept4(2): the connection and the address of the peer. */
export interface Accepted {
  readonly fd: Fd;
  readonly peer: SocketAddress;
}

/** Descriptors and bytes that came together over a Unix socket. */
export interface ReceivedMessage {
  /** 0 with no descriptors is end of file. */
  readonly bytes: number;
  readonly fds: readonly Fd[];
  /** The kernel dropped descriptors for want of room (MSG_CTRUNC). */
  readonly lostFds: boolean;
  /** The datagram was longer than the room for it, and the rest of it is lost (MSG_TRUNC). */
  readonly wasCut: boolean;
  /** The sender's address, for datagrams. */
  readonly from?: SocketAddress;
}

/** SOCK_STREAM, SOCK_DGRAM and SOCK_SEQPACKET. */
export type SocketType = "stream" | "datagram" | "seqpacket";

/** The credentials of the process at the other end of a Unix socket, in our user namespace. */
export interface PeerCredentials {
  /** 0 for a process of another pid namespace. */
  readonly pid: Pid;
  readonly uid: Uid;
  readonly gid: Gid;
}

/**
 * Calls on sockets. A path of a Unix socket is not empty and has no more than UNIX_PATH_BYTES_MAX bytes
 * (ENOENT and ENAMETOOLONG). Where a call takes `at`, that is the directory from which a relative path
 * starts, the working directory unless given; the address that the kernel sees then is 22 bytes and
 * the digits of `at` longer, needs /proc, and is what getsockname(2) tells.
 */
export interface Sockets {
  /** socket(2), close-on-exec and nonblocking; inet6 sockets get IPV6_V6ONLY. */
  socket(family: SocketAddress["family"], type: SocketType): Fd;
  /** bind(2). A path is made with mode 0777 less the umask, and must be free (EADDRINUSE). */
  bind(fd: Fd, address: SocketAddress, at?: Fd): void;
  listen(fd: Fd, backlog: number): void;
  /**
   * connect(2) on a nonblocking socket: true when done at once, false when it is under way. A Unix
   * socket is never under way: it fails with EAGAIN as long as the listener's backlog is full, and
   * with ECONNREFUSED where a path has no listener (any more), or is no socket.
   */
  connect(fd: Fd, address: SocketAddress, at?: Fd): boolean;
  /** SO_ERROR: the errno name of a connection attempt that failed, undefined when it succeeded. */
  socketError(fd: Fd): string | undefined;
  /**
   * accept4(2) until `most` connections came or there are none left: close-on-exec, and blocking,
   * as a program that inherits one expects. Stops quietly at EAGAIN; an error that ended the batch
   * early is thrown only when nothing was accepted. ECONNABORTED and EINTR are passed over.
   */
  accept(fd: Fd, most: number): readonly Accepted[];
  getsockname(fd: Fd): SocketAddress;
  getpeername(fd: Fd): SocketAddress;
  shutdown(fd: Fd, how: "read" | "write" | "both"): void;
  setReuseAddress(fd: Fd, on: boolean): void;
  setReusePort(fd: Fd, on: boolean): void;
  setNoDelay(fd: Fd, on: boolean): void;
  setKeepAlive(fd: Fd, on: boolean): void;
  isListening(fd: Fd): boolean;
  /** SO_TYPE; undefined for another type than these. */
  socketType(fd: Fd): SocketType | undefined;
  /**
   * SO_PEERCRED of a Unix socket: of an accepted one, who connected it, as of connect(2); of one that has
   * connected, who made its listener listen.
   */
  peerCredentials(fd: Fd): PeerCredentials;
  /**
   * sendmsg(2), MSG_NOSIGNAL, with at most 253 descriptors; undefined when it would block, whatever the
   * socket's mode. A stream may take fewer bytes than there are, and has all descriptors then.
   */
  sendMessage(
    fd: Fd,
    bytes: Uint8Array,
    fds: readonly Fd[],
    to?: SocketAddress,
  ): number | undefined;
  /**
   * recvmsg(2), MSG_CMSG_CLOEXEC, with room for 253 descriptors; undefined when it would block, whatever
   * the socket's mode.
   */
  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined;
  /** Two connected Unix sockets, close-on-exec. */
  socketPair(type: SocketType): readonly [Fd, Fd];
}

/** The exports of C for this family (`native/`). */
export interface SocketsAddon {
  socket(family: number, type: number): number;
  socketPair(type: number, ends: Int32Array): void;
  bind(fd: number, ...address: AddressParts): void;
  listen(fd: number, backlog: number): void;
  connect(fd: number, ...address: AddressParts): boolean;
  socketError(fd: number): string | undefined;
  accept(fd: number, most: number, records: Uint8Array): number;
  getsockname(fd: number, record: Uint8Array): void;
  getpeername(fd: number, record: Uint8Array): void;
  shutdown(fd: number, how: number): void;
  setOption(fd: number, option: number, on: boolean): void;
  isListening(fd: number): boolean;
  socketType(fd: number): number;
  peerCredentials(fd: number, into: Float64Array): void;
  sendMessage(
    fd: number,
    bytes: Uint8Array,
    fds: Int32Array,
    count: number,
    ...to: AddressParts | []
  ): number | undefined;
  receiveMessage(
    fd: number,
    into: Uint8Array,
    told: Int32Array,
    record: Uint8Array,
  ): number | undefined;
}

const ACCEPT_RECORDS_FIRST = 16;
const RIGHTS_MAX = 253;
const TOLD_HEADER_LENGTH = 4;

/** In the order of TYPES in native/sockets.c. */
const SOCKET_TYPES: readonly SocketType[] = ["stream", "datagram", "seqpacket"];
const SHUTDOWN = { read: 0, write: 1, both: 2 } as const;
/** In the order of OPTIONS in native/sockets.c. */
const SOCKET_OPTION = { reuseAddress: 0, reusePort: 1, noDelay: 2, keepAlive: 3 } as const;

/** The calls of this kernel on sockets. */
export function nativeSockets(addon: SocketsAddon): Sockets {
  const numbers = new Float64Array(3);
  const numberOf = (index: number): number => numbers[index] ?? 0;
  const pair = new Int32Array(2);
  const record = new AddressRecords(1);
  let accepted = new AddressRecords(ACCEPT_RECORDS_FIRST);
  const ownRights = new Int32Array(TOLD_HEADER_LENGTH + RIGHTS_MAX);
  return {
    socket(family: SocketAddress["family"], type: SocketType): Fd {
      return addon.socket(familyNumber(family), SOCKET_TYPES.indexOf(type)) as Fd;
    },

    bind(fd: Fd, address: SocketAddress, at?: Fd): void {
      addon.bind(fd, ...addressParts(startingFrom(at, address)));
    },

    listen(fd: Fd, backlog: number): void {
      addon.listen(fd, backlog);
    },

    connect(fd: Fd, address: SocketAddress, at?: Fd): boolean {
      return addon.connect(fd, ...addressParts(startingFrom(at, address)));
    },

    socketError(fd: Fd): string | undefined {
      return addon.socketError(fd);
    },

    accept(fd: Fd, most: number): readonly Accepted[] {
      if (most > accepted.capacity) accepted = new AddressRecords(most);
      const records = accepted;
      const count = addon.accept(fd, most, records.bytes);
      const connections: Accepted[] = [];
      for (let i = 0; i < count; i++) {
        connections.push({ fd: records.fd(i) as Fd, peer: records.address(i) });
      }
      return connections;
    },

    getsockname(fd: Fd): SocketAddress {
      addon.getsockname(fd, record.bytes);
      return record.address(0);
    },

    getpeername(fd: Fd): SocketAddress {
      addon.getpeername(fd, record.bytes);
      return record.address(0);
    },

    shutdown(fd: Fd, how: keyof typeof SHUTDOWN): void {
      addon.shutdown(fd, SHUTDOWN[how]);
    },

    setReuseAddress(fd: Fd, on: boolean): void {
      addon.setOption(fd, SOCKET_OPTION.reuseAddress, on);
    },

    setReusePort(fd: Fd, on: boolean): void {
      addon.setOption(fd, SOCKET_OPTION.reusePort, on);
    },

    setNoDelay(fd: Fd, on: boolean): void {
      addon.setOption(fd, SOCKET_OPTION.noDelay, on);
    },

    setKeepAlive(fd: Fd, on: boolean): void {
      addon.setOption(fd, SOCKET_OPTION.keepAlive, on);
    },

    isListening(fd: Fd): boolean {
      return addon.isListening(fd);
    },

    socketType(fd: Fd): SocketType | undefined {
      return SOCKET_TYPES[addon.socketType(fd)];
    },

    peerCredentials(fd: Fd): PeerCredentials {
      addon.peerCredentials(fd, numbers);
      return { pid: numberOf(0) as Pid, uid: numberOf(1), gid: numberOf(2) };
    },

    sendMessage(
      fd: Fd,
      bytes: Uint8Array,
      fds: readonly Fd[],
      to?: SocketAddress,
    ): number | undefined {
      const rights = fds.length <= RIGHTS_MAX ? ownRights : new Int32Array(fds.length);
      fds.forEach((right, index) => (rights[index] = right));
      const address = to === undefined ? ([] as const) : addressParts(to);
      return addon.sendMessage(fd, bytes, rights, fds.length, ...address);
    },

    receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined {
      const bytes = addon.receiveMessage(fd, into, ownRights, record.bytes);
      if (bytes === undefined) return undefined;
      const [count = 0, lostRights = 0, hasAddress = 0, wasCut = 0] = ownRights;
      const end = TOLD_HEADER_LENGTH + count;
      const message = {
        bytes,
        fds: Array.from(ownRights.subarray(TOLD_HEADER_LENGTH, end)) as Fd[],
        lostFds: lostRights !== 0,
        wasCut: wasCut !== 0,
      };
      return hasAddress === 0 ? message : { ...message, from: record.address(0) };
    },

    socketPair(type: SocketType): readonly [Fd, Fd] {
      addon.socketPair(SOCKET_TYPES.indexOf(type), pair);
      return fdPair(pair);
    },
  };
}

/** Neither bind(2) nor connect(2) takes a directory; /proc has a path of each that this thread has open. */
function startingFrom(at: Fd | undefined, address: SocketAddress): SocketAddress {
  if (at === undefined || address.family !== "unix" || /^[/\0]|^$/.test(address.path))
    return address;
  return { family: "unix", path: `/proc/thread-self/fd/${at}/${address.path}` };
}
