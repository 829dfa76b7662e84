/**
 * The seam to the kernel: the system calls that the suite needs and Node lacks, with their types.
 *
 * `native.ts` is the only file that loads the addon; the double that unit tests use is test/support/posix.
 * Each function is one call: it marshals its arguments, calls once (retrying only EINTR) and throws
 * SystemError with the errno name. Policy, retries and defaults live above. A call whose failure is
 * an everyday answer (nothing to accept, would block) says so in its result instead of throwing.
 */

declare const fdBrand: unique symbol;
declare const pidBrand: unique symbol;

/** An open descriptor. Only src/posix makes one, so a stray number cannot pass for it. */
export type Fd = number & { readonly [fdBrand]: true };

/** A process id. */
export type Pid = number & { readonly [pidBrand]: true };

/** A user or group id as the kernel knows it, 0 to 2^32 - 1. */
export type Uid = number;
export type Gid = number;

/** The user, group and supplementary groups of a process; an absent part is left as it is. */
export interface Identity {
  readonly uid?: Uid;
  readonly gid?: Gid;
  readonly groups?: readonly Gid[];
}

/** The resources of setrlimit(2), by the kernel's names. */
export type Resource =
  | "as"
  | "core"
  | "cpu"
  | "data"
  | "fsize"
  | "memlock"
  | "nofile"
  | "nproc"
  | "rss"
  | "rtprio"
  | "stack";

/** A soft and a hard limit in the resource's own unit; Infinity is RLIM_INFINITY. */
export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** How a process ended, as wait(2) tells it. */
export type WaitStatus =
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "killed"; readonly signal: number; readonly coreDumped: boolean };

/** A session or process-group change made in a new process. */
export type Session = "setsid" | "background";

/**
 * Everything a child is born with. Byte blocks are NUL-terminated strings back to back, so that a
 * server marshals its constant part once and a connection adds only its own strings.
 */
export interface SpawnRequest {
  /** Paths to try in order, as execvp(3) would: NUL-terminated, back to back, at least one. */
  readonly files: Uint8Array;
  /** argv[0] and on. */
  readonly argv: Uint8Array;
  /** NAME=VALUE strings. */
  readonly environment: Uint8Array;
  /** More NAME=VALUE strings, after `environment`; the caller has taken out what these replace. */
  readonly environmentExtra?: Uint8Array | undefined;
  /**
   * What the child's descriptors will be: `descriptors[2 * i]` in the child is
   * `descriptors[2 * i + 1]` of ours, close-on-exec cleared; a source of -1 closes the target. Any
   * overlap of sources and targets is resolved. Descriptors not named here are inherited unless
   * they are close-on-exec.
   */
  readonly descriptors: readonly number[];
  /** Applied in this order: session, limits, groups, gid, uid, directory. */
  readonly session?: Session | undefined;
  readonly limits?: readonly (readonly [Resource, Limit])[] | undefined;
  readonly identity?: Identity | undefined;
  readonly directory?: string | undefined;
  readonly umask?: number | undefined;
}

/** A child and the pidfd that becomes readable when it ends (-1 where the system has none). */
export interface Child {
  readonly pid: Pid;
  readonly pidfd: Fd;
}

/** The address of a socket, in the bytes the kernel uses. */
export type SocketAddress =
  | {
      readonly family: "inet" | "inet6";
      /** 4 or 16 bytes, network order. */
      readonly bytes: Uint8Array;
      readonly port: number;
      /** Interface index of a link-local IPv6 address, 0 otherwise. */
      readonly scope: number;
    }
  /** A path; "" when unnamed; abstract names begin with NUL. */
  | { readonly family: "unix"; readonly path: string };

/** What accept4(2) brought: the connection and who is at the other end. */
export interface Accepted {
  readonly fd: Fd;
  readonly peer: SocketAddress;
}

/** What a watched descriptor is ready for. `hangup` covers POLLHUP and POLLERR. */
export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly hangup: boolean;
}

/**
 * What a watch waits for. A hangup is told along with anything else that is waited for; `hangup` alone
 * waits for nothing but that.
 */
export interface Interest {
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly hangup?: boolean;
}

/** A descriptor in the event loop. Closing it does not close the descriptor. */
export interface Watch {
  /** Change what is waited for; nothing pauses the watch (it then no longer keeps the loop alive). */
  update(interest: Interest): void;
  close(): void;
}

/** What identifies one version of a file: any change of content or a replacement changes it. */
export interface FileVersion {
  readonly device: number;
  readonly inode: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  /** The S_IF bits and the permission bits. */
  readonly mode: number;
}

/** An entry of the password database. */
export interface Account {
  readonly name: string;
  readonly uid: Uid;
  readonly gid: Gid;
  readonly home: string;
  readonly shell: string;
}

/** An entry of the group database. */
export interface Group {
  readonly name: string;
  readonly gid: Gid;
  /** The accounts the entry lists, which leaves out those whose primary group it is. */
  readonly members: readonly string[];
}

/** Descriptors and bytes that came together over a Unix socket. */
export interface ReceivedMessage {
  /** 0 with no descriptors is end of file. */
  readonly bytes: number;
  readonly fds: readonly Fd[];
  /** The kernel dropped descriptors for want of room (MSG_CTRUNC). */
  readonly truncated: boolean;
  /** The sender's address, for datagrams. */
  readonly from?: SocketAddress;
}

/** How many buffers one `writev` looks at; more than that are for the next one. */
export const WRITEV_BUFFERS_MAX = 64;

/**
 * What a descriptor is open on. `memory` is /dev/null and its like, which never make a writer wait;
 * `device` any other device, terminals above all; `other` what has no name (eventfd, epoll).
 */
export type DescriptorKind =
  "file" | "directory" | "pipe" | "socket" | "memory" | "device" | "other";

export type OpenMode = "read" | "write" | "readwrite";

/** The calls themselves. An implementation holds no state but its watches. */
export interface Posix {
  // --- processes -------------------------------------------------------------------------------

  /**
   * execve(2), trying each of `files` as execvp(3) would (going on after ENOENT, EACCES, EPERM,
   * EISDIR and ENOTDIR; the error reported is the last that was not ENOENT, if there was one). Just
   * before, every signal goes back to its default and the mask is emptied. Returns only by throwing.
   */
  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never;
  /**
   * Create a child that shares our memory until it has executed its program (clone with CLONE_VM
   * and CLONE_VFORK, raw system calls only), with default dispositions and an empty mask. A failure
   * in the child, exec included, is thrown here with its errno.
   */
  spawn(request: SpawnRequest): Child;
  /**
   * Like spawn, but without waiting until the child has executed its program: a server goes on with
   * the next connection meanwhile. What goes wrong in the child after its creation ends it with exit
   * code 127; then ask spawnFailure.
   */
  spawnAhead(request: SpawnRequest): Child;
  /**
   * Why a child of spawnAhead, which has ended, never executed its program; undefined if it did. To
   * be asked once for each child that ended with 127: until then a place is kept for the answer.
   */
  spawnFailure(pid: Pid): SystemError | undefined;
  /** waitpid(2) with WNOHANG for one child; undefined while it runs. ECHILD throws. */
  reap(pid: Pid): WaitStatus | undefined;
  /** The pid of any child of ours that has ended, left unreaped (waitid with WNOWAIT). */
  peekEndedChild(): Pid | undefined;
  kill(pid: Pid | number, signal: number): void;
  getpid(): Pid;
  setsid(): void;
  setpgid(pid: number, pgid: number): void;
  /** tcsetpgrp(3); `ignoreTtou` keeps SIGTTOU away while it runs. */
  tcsetpgrp(fd: Fd, pgid: number, ignoreTtou: boolean): void;

  // --- identity, limits and other attributes of this process, all its threads alike ----------------

  getuid(): Uid;
  getgid(): Gid;
  geteuid(): Uid;
  getegid(): Gid;
  setgroups(gids: readonly Gid[]): void;
  setgid(gid: Gid): void;
  setuid(uid: Uid): void;
  getrlimit(resource: Resource): Limit;
  setrlimit(resource: Resource, limit: Limit): void;
  /** umask(2): set it and return the one before. */
  umask(mask: number): number;
  chdir(directory: string): void;

  // --- descriptors -----------------------------------------------------------------------------

  /** open(2), close-on-exec. `create` gives the mode bits of a file that is made. */
  open(
    path: string,
    mode: OpenMode,
    options?: {
      readonly nonblocking?: boolean;
      readonly create?: number;
      readonly exclusive?: boolean;
      readonly truncate?: boolean;
      readonly append?: boolean;
      readonly directory?: boolean;
      readonly noFollow?: boolean;
    },
  ): Fd;
  close(fd: Fd): void;
  /** read(2); undefined when it would block, 0 at end of file. */
  read(fd: Fd, into: Uint8Array): number | undefined;
  /** write(2) (send with MSG_NOSIGNAL on sockets); undefined when it would block. */
  write(fd: Fd, bytes: Uint8Array): number | undefined;
  /**
   * writev(2) (sendmsg with MSG_NOSIGNAL on sockets): some of these bytes, one buffer after the other,
   * of the first WRITEV_BUFFERS_MAX buffers at most; undefined when it would block.
   */
  writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined;
  /**
   * recv(2) with MSG_PEEK and MSG_DONTWAIT: what has come over a socket, left there to be read again.
   * Undefined when nothing has, on a blocking socket too; 0 at end of file; ENOTSOCK for all others.
   */
  peek(fd: Fd, into: Uint8Array): number | undefined;
  /** pipe2(2), close-on-exec: the reading and the writing end. */
  pipe(): readonly [Fd, Fd];
  socketPair(type: "stream" | "datagram" | "seqpacket"): readonly [Fd, Fd];
  /** dup3(2); the copy is not close-on-exec unless asked for. */
  dup2(fd: Fd, target: number, closeOnExec?: boolean): Fd;
  /** F_DUPFD_CLOEXEC: the lowest free number that is at least `minimum`. */
  dup(fd: Fd, minimum?: number): Fd;
  /** Is this number an open descriptor? The only way to make an Fd of a number that came from outside. */
  isOpen(fd: number): fd is Fd;
  setCloseOnExec(fd: Fd, on: boolean): void;
  /**
   * unshare(2) CLONE_FILES: from now on this thread has descriptors of its own, so that giving them
   * the numbers a program wants changes nothing for the threads of Node. Just before execve only. The
   * process loses its record locks.
   */
  unshareDescriptors(): void;
  /** Set or clear O_NONBLOCK; returns what it was. */
  setNonblocking(fd: Fd, on: boolean): boolean;
  isNonblocking(fd: Fd): boolean;
  accessMode(fd: Fd): OpenMode;
  isSocket(fd: Fd): boolean;
  /** kcmp(2) KCMP_FILE within this process; undefined where the system does not tell. */
  isSameOpenFile(a: Fd, b: Fd): boolean | undefined;
  /** poll(2) on one descriptor, blocking the whole process: for start-up paths and full log pipes. */
  waitReady(
    fd: Fd,
    interest: { readonly readable?: boolean; readonly writable?: boolean },
    timeoutMs: number,
  ): Readiness | undefined;

  /** fstat(2): what kind of thing a descriptor is open on. */
  descriptorKind(fd: Fd): DescriptorKind;
  /**
   * write(2) that never waits, however the open file is set, and leaves that setting alone (send with
   * MSG_DONTWAIT on sockets, pwritev2 with RWF_NOWAIT elsewhere); undefined when it would wait.
   * EOPNOTSUPP where the system cannot do so with what this descriptor is open on.
   */
  writeNow(fd: Fd, bytes: Uint8Array): number | undefined;
  /**
   * splice(2) with SPLICE_F_NONBLOCK, from a pipe that has the bytes to another one; undefined when
   * that one is full.
   */
  splice(from: Fd, to: Fd, count: number): number | undefined;
  /**
   * Start a thread that copies to `to`, with calls that wait, what it reads from `from`: to its end, or
   * until writing fails. The thread takes `from` over and closes it last of all, so that the other end
   * of it hangs up when everything is written. Nobody waits for the thread: it ends with the process.
   * Reads at most 32 KiB at a time, and writes what it has read in one piece where the system lets it.
   */
  copyInThread(from: Fd, to: Fd): void;

  // --- files -----------------------------------------------------------------------------------

  /** fstat-like facts of a path, following links; the errno name when stat(2) fails. */
  fileVersion(path: string): FileVersion | string;
  /** access(2) with R_OK, real ids: undefined when readable, else the errno name. */
  readable(path: string): string | undefined;
  mkfifo(path: string, mode: number): void;
  fsync(fd: Fd): void;
  /** flock(2). False when held elsewhere and `wait` is false. */
  flock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean;
  /** fcntl(2) record lock over the whole file. False when held elsewhere and `wait` is false. */
  recordLock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean;
  /** F_GETLK: the pid of another process that holds a lock conflicting with `kind`. */
  recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined;

  // --- sockets ---------------------------------------------------------------------------------

  /** socket(2), close-on-exec and nonblocking; inet6 sockets get IPV6_V6ONLY. */
  socket(family: "inet" | "inet6" | "unix", type: "stream" | "datagram"): Fd;
  bind(fd: Fd, address: SocketAddress): void;
  listen(fd: Fd, backlog: number): void;
  /** connect(2) on a nonblocking socket: true when done at once, false when it is under way. */
  connect(fd: Fd, address: SocketAddress): boolean;
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
  /** SO_PEERCRED: who connected a Unix socket. */
  peerCredentials(fd: Fd): { readonly pid: Pid; readonly uid: Uid; readonly gid: Gid };
  /** sendmsg(2), MSG_NOSIGNAL, with at most 253 descriptors; undefined when it would block. */
  sendMessage(
    fd: Fd,
    bytes: Uint8Array,
    fds: readonly Fd[],
    to?: SocketAddress,
  ): number | undefined;
  /** recvmsg(2), MSG_CMSG_CLOEXEC; undefined when it would block. */
  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined;

  // --- the event loop --------------------------------------------------------------------------

  /**
   * Watch a descriptor in the event loop, level-triggered. The watch keeps the loop alive while it
   * waits for something, unless `keepsAlive` is false. `ready` must not throw.
   */
  watch(
    fd: Fd,
    interest: Interest,
    ready: (readiness: Readiness) => void,
    options?: { readonly keepsAlive?: boolean },
  ): Watch;

  // --- names and clocks ------------------------------------------------------------------------

  account(nameOrUid: string | Uid): Account | undefined;
  group(nameOrGid: string | Gid): Group | undefined;
  /** The groups whose entries list `account`, in database order. */
  groupsListing(account: string): readonly Gid[];
  /** getservbyname(3): the port of a service name. */
  servicePort(name: string, protocol: string): number | undefined;
  /** CLOCK_REALTIME in nanoseconds since 1970. */
  realtimeNs(): bigint;
  setRealtimeNs(ns: bigint): void;
  /** adjtime(3): slew by this many microseconds; returns what an earlier slew had left to do. */
  adjtime(microseconds: bigint): bigint;
  /** strerror(3) of an errno name: `Connection refused` for ECONNREFUSED. */
  strerror(code: string): string;
}

/** A system call that failed: `code` is the errno name, `message` what strerror(3) says of it. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno name, `ENOENT`. */
  readonly code: string;
  readonly errno: number;
  /** The call that failed, `bind`. */
  readonly syscall: string;

  constructor(code: string, errno: number, syscall: string, message: string) {
    super(message);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** The errno name of a failure, be it ours or Node's; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
