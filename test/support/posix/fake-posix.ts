/**
 * A kernel in memory, for the unit tests of the layers above: a descriptor table, files, pipes,
 * sockets, children and names, with the errno of the real one where a caller could care. Nothing
 * happens by itself: `turn` delivers to watches what is ready, tests end children by hand. A call
 * that would block the process for ever throws a plain Error, for that is a bug.
 */
import { constants } from "node:os";

import { splitBlock } from "../../../src/posix/bytes.ts";
import { FakeChild } from "./fake-child.ts";
import {
  Channel,
  connectedPair,
  FakeFile,
  FdTable,
  OpenFile,
  type FakeSocket,
} from "./fake-file.ts";
import { SystemError, WRITEV_BUFFERS_MAX } from "../../../src/posix/posix.ts";
import type {
  Accepted,
  Account,
  Child,
  DescriptorKind,
  Fd,
  FileVersion,
  Gid,
  Group,
  Interest,
  Limit,
  OpenMode,
  Pid,
  Posix,
  Readiness,
  ReceivedMessage,
  Resource,
  SocketAddress,
  SpawnRequest,
  Uid,
  WaitStatus,
  Watch,
} from "../../../src/posix/posix.ts";

const RIGHTS_MAX = 253;
const OWN_PID = 100 as Pid;
const FIRST_EPHEMERAL_PORT = 49_152;
const SIGKILL = 9;
const NOWHERE: SocketAddress = { family: "unix", path: "" };

/** What `execve` throws in place of becoming another program. */
export class FakeExecution extends Error {
  override readonly name = "FakeExecution";
  readonly files: readonly string[];
  readonly argv: readonly string[];
  readonly environment: readonly string[];

  constructor(files: Uint8Array, argv: Uint8Array, environment: Uint8Array) {
    const words = splitBlock(argv);
    super(`executed ${words.join(" ")}`);
    this.files = splitBlock(files);
    this.argv = words;
    this.environment = splitBlock(environment);
  }
}

export class FakePosix implements Posix {
  // --- what tests set and look at --------------------------------------------------------------

  readonly children: FakeChild[] = [];
  /** What spawnFailure is to tell of a child, by its pid. */
  readonly spawnFailures = new Map<Pid, SystemError>();
  readonly signals: { readonly pid: number; readonly signal: number }[] = [];
  readonly files = new Map<string, FakeFile>();
  readonly limits = new Map<Resource, Limit>();
  readonly accounts: Account[] = [];
  readonly groups: Group[] = [];
  /** `name/protocol` to port. */
  readonly services = new Map<string, number>();
  identity: { uid: Uid; gid: Gid; groups: readonly Gid[] } = { uid: 0, gid: 0, groups: [] };
  credentials = { pid: OWN_PID, uid: 0, gid: 0 };
  nowNs = 0n;
  directory = "/";
  /** The session or process group calls made, oldest first. */
  readonly sessionCalls: string[] = [];

  readonly #fds = new FdTable();
  readonly #watches = new Map<Fd, FakeWatch>();
  readonly #failures = new Map<keyof Posix, string[]>();
  readonly #bound = new Map<string, OpenFile>();
  readonly #reaped = new Set<FakeChild>();
  #umask = 0o022;
  #lastPid: number = OWN_PID;
  #lastInode = 0;
  #lastPort = FIRST_EPHEMERAL_PORT;
  #slewLeft = 0n;

  /** Descriptors 0 to 2 are open, on files of that name that swallow or give nothing. */
  constructor() {
    for (const fd of [0, 1, 2]) {
      const file = new OpenFile("readwrite");
      file.file = new FakeFile(++this.#lastInode, new Uint8Array(0), 0o666, "file");
      this.#fds.place(file, fd, false);
    }
  }

  /** The next call of this name fails with this errno; several wait for their turn. */
  failNext(call: keyof Posix, code: string): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), code]);
  }

  /** Make or replace (by another inode, as rename(2) does) a file. */
  putFile(path: string, content: string | Uint8Array, mode = 0o644): FakeFile {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const file = new FakeFile(++this.#lastInode, bytes, mode, "file");
    this.files.set(path, file);
    return file;
  }

  /** What was written to a file. */
  fileText(path: string): string {
    return Buffer.from(this.files.get(path)?.content ?? []).toString();
  }

  /** The descriptors that are open, which a test of clean-up wants to be the ones before. */
  get openFds(): readonly Fd[] {
    return this.#fds.numbers;
  }

  /** Connect to a listening socket as `peer` would; the result is the peer's end. */
  connectFrom(peer: SocketAddress, listener: Fd): Fd {
    const listening = this.#socketOf(listener, "connect");
    return this.#fds.add(this.#reach(listening, peer, true));
  }

  /** Call the watch of a descriptor with this readiness, whatever the state of the descriptor. */
  fire(fd: Fd, readiness: Partial<Readiness>): void {
    this.#watches
      .get(fd)
      ?.deliver({ readable: false, writable: false, hangup: false, ...readiness });
  }

  /** One turn of the event loop: call each watch that is ready. How many were called. */
  turn(): number {
    const due = [...this.#watches]; // those that a callback adds have to wait
    let called = 0;
    for (const [fd, watch] of due) {
      const file = this.#fds.get(fd);
      if (file !== undefined && this.#watches.get(fd) === watch && watch.deliver(file.readiness)) {
        called++;
      }
    }
    return called;
  }

  /** The child of this pid. */
  child(pid: Pid): FakeChild {
    const child = this.children.find((candidate) => candidate.pid === pid);
    if (child === undefined) throw new Error(`fake: there is no child ${pid}`);
    return child;
  }

  // --- processes -------------------------------------------------------------------------------

  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never {
    this.#mayFail("execve");
    throw new FakeExecution(files, argv, environment);
  }

  spawn(request: SpawnRequest): Child {
    this.#mayFail("spawn");
    const fds = new FdTable();
    for (const fd of this.#fds.numbers) {
      if (!this.#fds.isCloseOnExec(fd)) fds.place(this.#file(fd, "spawn"), fd, false);
    }
    const { descriptors } = request;
    for (let i = 0; i + 1 < descriptors.length; i += 2) {
      const [target = -1, source = -1] = descriptors.slice(i, i + 2);
      if (source < 0) fds.remove(target);
      else fds.place(this.#file(source, "dup3"), target, false);
    }
    const child = new FakeChild(++this.#lastPid as Pid, request, fds);
    this.children.push(child);
    const pidfd = new OpenFile("read");
    pidfd.hasEnded = () => child.status !== undefined;
    return { pid: child.pid, pidfd: this.#fds.add(pidfd, 3) };
  }

  spawnAhead(request: SpawnRequest): Child {
    return this.spawn(request);
  }

  spawnFailure(pid: Pid): SystemError | undefined {
    const failure = this.spawnFailures.get(pid);
    this.spawnFailures.delete(pid);
    return failure;
  }

  reap(pid: Pid): WaitStatus | undefined {
    this.#mayFail("reap");
    const index = this.children.findIndex((child) => child.pid === pid && !this.#reaped.has(child));
    const child = this.children[index];
    if (child === undefined) throw systemError("ECHILD", "waitpid");
    if (child.status !== undefined) this.#reaped.add(child);
    return child.status;
  }

  peekEndedChild(): Pid | undefined {
    this.#mayFail("peekEndedChild");
    return this.children.find((child) => child.status !== undefined && !this.#reaped.has(child))
      ?.pid;
  }

  kill(pid: Pid | number, signal: number): void {
    this.#mayFail("kill");
    const child = this.children.find((one) => one.pid === Math.abs(pid) && !this.#reaped.has(one));
    if (child === undefined && pid !== OWN_PID) throw systemError("ESRCH", "kill");
    this.signals.push({ pid, signal });
    child?.signals.push(signal);
    if (signal === SIGKILL) child?.end({ kind: "killed", signal, coreDumped: false });
  }

  getpid(): Pid {
    return OWN_PID;
  }

  setsid(): void {
    this.#mayFail("setsid");
    this.sessionCalls.push("setsid");
  }

  setpgid(pid: number, pgid: number): void {
    this.#mayFail("setpgid");
    this.sessionCalls.push(`setpgid ${pid} ${pgid}`);
  }

  tcsetpgrp(fd: Fd, pgid: number): void {
    this.#mayFail("tcsetpgrp");
    this.#file(fd, "tcsetpgrp");
    this.sessionCalls.push(`tcsetpgrp ${fd} ${pgid}`);
  }

  // --- identity, limits and other attributes of this process ---------------------------------------

  getuid(): Uid {
    return this.identity.uid;
  }

  getgid(): Gid {
    return this.identity.gid;
  }

  geteuid(): Uid {
    return this.identity.uid;
  }

  getegid(): Gid {
    return this.identity.gid;
  }

  setgroups(gids: readonly Gid[]): void {
    this.#mayFail("setgroups");
    this.#needRoot("setgroups");
    this.identity = { ...this.identity, groups: [...gids] };
  }

  setgid(gid: Gid): void {
    this.#mayFail("setgid");
    if (gid !== this.identity.gid) this.#needRoot("setgid");
    this.identity = { ...this.identity, gid };
  }

  setuid(uid: Uid): void {
    this.#mayFail("setuid");
    if (uid !== this.identity.uid) this.#needRoot("setuid");
    this.identity = { ...this.identity, uid };
  }

  getrlimit(resource: Resource): Limit {
    this.#mayFail("getrlimit");
    return this.limits.get(resource) ?? { soft: Infinity, hard: Infinity };
  }

  setrlimit(resource: Resource, limit: Limit): void {
    this.#mayFail("setrlimit");
    if (limit.soft > limit.hard) throw systemError("EINVAL", "setrlimit");
    if (limit.hard > this.getrlimit(resource).hard) this.#needRoot("setrlimit");
    this.limits.set(resource, limit);
  }

  umask(mask: number): number {
    const before = this.#umask;
    this.#umask = mask & 0o777;
    return before;
  }

  chdir(directory: string): void {
    this.#mayFail("chdir");
    this.directory = directory;
  }

  // --- descriptors -----------------------------------------------------------------------------

  open(path: string, mode: OpenMode, options: Parameters<Posix["open"]>[2] = {}): Fd {
    this.#mayFail("open");
    const existing = this.files.get(path);
    if (existing !== undefined && options.exclusive === true) throw systemError("EEXIST", "open");
    if (existing === undefined && options.create === undefined) throw systemError("ENOENT", "open");
    const file = existing ?? this.putFile(path, "", (options.create ?? 0) & ~this.#umask);
    const opened = new OpenFile(mode, options.nonblocking);
    if (file.fifo !== undefined) return this.#openFifo(file.fifo, opened);
    opened.file = file;
    opened.isAppending = options.append ?? false;
    if (options.truncate === true) file.change(new Uint8Array(0));
    return this.#fds.add(opened);
  }

  close(fd: Fd): void {
    this.#file(fd, "close");
    this.#watches.get(fd)?.close();
    this.#fds.remove(fd);
    this.#mayFail("close");
  }

  read(fd: Fd, into: Uint8Array): number | undefined {
    this.#mayFail("read");
    const opened = this.#file(fd, "read");
    if (opened.incoming !== undefined) {
      return this.#take(opened, into.length, "read", ({ bytes }) => {
        into.set(bytes);
        return bytes.length;
      });
    }
    if (opened.mode === "write") throw systemError("EBADF", "read");
    const content = opened.file?.content ?? new Uint8Array(0);
    const piece = content.subarray(opened.offset, opened.offset + into.length);
    into.set(piece);
    opened.offset += piece.length;
    return piece.length;
  }

  write(fd: Fd, bytes: Uint8Array): number | undefined {
    this.#mayFail("write");
    return this.#write(fd, bytes, "write");
  }

  writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined {
    this.#mayFail("writev");
    return this.#write(fd, Buffer.concat(buffers.slice(0, WRITEV_BUFFERS_MAX)), "writev");
  }

  peek(fd: Fd, into: Uint8Array): number | undefined {
    this.#mayFail("peek");
    const opened = this.#file(fd, "recv");
    if (opened.socket === undefined) throw systemError("ENOTSOCK", "recv");
    const { incoming } = opened;
    if (incoming === undefined) throw systemError("ENOTCONN", "recv");
    const bytes = incoming.peek(into.length);
    into.set(bytes);
    return bytes.length > 0 || incoming.writers <= 0 ? bytes.length : undefined;
  }

  pipe(): readonly [Fd, Fd] {
    this.#mayFail("pipe");
    const channel = new Channel();
    return [
      this.#fds.add(new OpenFile("read").attach(channel, undefined)),
      this.#fds.add(new OpenFile("write").attach(undefined, channel)),
    ];
  }

  socketPair(type: "stream" | "datagram" | "seqpacket"): readonly [Fd, Fd] {
    this.#mayFail("socketPair");
    const [one, other] = connectedPair(() => {
      const opened = new OpenFile("readwrite");
      opened.socket = newSocket("unix", type);
      return opened;
    });
    return [this.#fds.add(one), this.#fds.add(other)];
  }

  dup2(fd: Fd, target: number, closeOnExec = false): Fd {
    this.#mayFail("dup2");
    return this.#fds.place(this.#file(fd, "dup3"), target, closeOnExec);
  }

  dup(fd: Fd, minimum = 0): Fd {
    this.#mayFail("dup");
    return this.#fds.add(this.#file(fd, "fcntl"), minimum);
  }

  isOpen(fd: number): fd is Fd {
    return this.#fds.get(fd) !== undefined;
  }

  unshareDescriptors(): void {
    this.#mayFail("unshareDescriptors");
  }

  setCloseOnExec(fd: Fd, on: boolean): void {
    this.#mayFail("setCloseOnExec");
    this.#file(fd, "fcntl");
    this.#fds.setCloseOnExec(fd, on);
  }

  setNonblocking(fd: Fd, on: boolean): boolean {
    this.#mayFail("setNonblocking");
    const opened = this.#file(fd, "fcntl");
    const before = opened.isNonblocking;
    opened.isNonblocking = on;
    return before;
  }

  isNonblocking(fd: Fd): boolean {
    return this.#file(fd, "fcntl").isNonblocking;
  }

  accessMode(fd: Fd): OpenMode {
    return this.#file(fd, "fcntl").mode;
  }

  isSocket(fd: Fd): boolean {
    return this.#file(fd, "fstat").socket !== undefined;
  }

  isSameOpenFile(a: Fd, b: Fd): boolean | undefined {
    return this.#file(a, "kcmp") === this.#file(b, "kcmp");
  }

  descriptorKind(fd: Fd): DescriptorKind {
    this.#mayFail("descriptorKind");
    const opened = this.#file(fd, "fstat");
    if (opened.socket !== undefined) return "socket";
    if (opened.incoming !== undefined || opened.outgoing !== undefined) return "pipe";
    return opened.file === undefined ? "other" : "file";
  }

  writeNow(fd: Fd, bytes: Uint8Array): number | undefined {
    this.#mayFail("writeNow");
    const opened = this.#file(fd, "write");
    if (opened.outgoing === undefined) throw systemError("EOPNOTSUPP", "write");
    const before = opened.isNonblocking;
    opened.isNonblocking = true;
    try {
      return this.#write(fd, bytes, "write");
    } finally {
      opened.isNonblocking = before;
    }
  }

  splice(from: Fd, to: Fd, count: number): number | undefined {
    this.#mayFail("splice");
    const source = this.#file(from, "splice").incoming;
    if (source === undefined) throw systemError("EINVAL", "splice");
    const moved = this.writeNow(to, source.peek(count));
    if (moved !== undefined) this.read(from, new Uint8Array(moved));
    return moved;
  }

  /** There are no threads here: what is sent to them stays where it is. */
  copyInThread(from: Fd, to: Fd): void {
    this.#mayFail("copyInThread");
    this.#file(to, "fcntl");
    this.#file(from, "fcntl");
  }

  waitReady(fd: Fd, interest: Interest, timeoutMs: number): Readiness | undefined {
    this.#mayFail("waitReady");
    const readiness = wanted(this.#file(fd, "poll").readiness, interest);
    if (readiness === undefined && timeoutMs < 0) throw blocksForEver("waitReady", fd);
    return readiness;
  }

  // --- files -----------------------------------------------------------------------------------

  fileVersion(path: string): FileVersion | string {
    return this.#nextFailure("fileVersion") ?? this.files.get(path)?.version ?? "ENOENT";
  }

  readable(path: string): string | undefined {
    return this.#nextFailure("readable") ?? (this.files.has(path) ? undefined : "ENOENT");
  }

  mkfifo(path: string, mode: number): void {
    this.#mayFail("mkfifo");
    if (this.files.has(path)) throw systemError("EEXIST", "mkfifo");
    const permissions = mode & ~this.#umask;
    const fifo = new FakeFile(++this.#lastInode, new Uint8Array(0), permissions, "fifo");
    this.files.set(path, fifo);
  }

  fsync(fd: Fd): void {
    this.#mayFail("fsync");
    this.#file(fd, "fsync");
  }

  flock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean {
    this.#mayFail("flock");
    const opened = this.#file(fd, "flock");
    if (opened.file === undefined) throw systemError("EBADF", "flock");
    const { locks } = opened.file;
    if (kind === "unlock") {
      locks.delete(opened);
      return true;
    }
    const others = [...locks].filter(([holder]) => holder !== opened);
    if (others.some(([, held]) => held === "exclusive" || kind === "exclusive")) {
      if (wait) throw blocksForEver("flock", fd);
      return false;
    }
    locks.set(opened, kind);
    return true;
  }

  recordLock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean {
    this.#mayFail("recordLock");
    const { file } = this.#file(fd, "fcntl");
    if (file === undefined) throw systemError("EBADF", "fcntl");
    if (kind === "unlock") {
      if (file.recordLock?.pid === OWN_PID) file.recordLock = undefined;
      return true;
    }
    if (this.recordLockOwner(fd, kind) !== undefined) {
      if (wait) throw blocksForEver("recordLock", fd);
      return false;
    }
    file.recordLock = { pid: OWN_PID, kind };
    return true;
  }

  recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined {
    this.#mayFail("recordLockOwner");
    const held = this.#file(fd, "fcntl").file?.recordLock;
    if (held === undefined || held.pid === OWN_PID) return undefined;
    return kind === "exclusive" || held.kind === "exclusive" ? held.pid : undefined;
  }

  // --- sockets ---------------------------------------------------------------------------------

  socket(family: SocketAddress["family"], type: "stream" | "datagram"): Fd {
    this.#mayFail("socket");
    const opened = new OpenFile("readwrite", true);
    opened.socket = newSocket(family, type);
    if (type === "datagram") opened.attach(openChannel(), undefined);
    return this.#fds.add(opened);
  }

  bind(fd: Fd, address: SocketAddress): void {
    this.#mayFail("bind");
    const opened = this.#socketOf(fd, "bind");
    const local = this.#withPort(address);
    const holder = this.#bound.get(nameOf(local));
    if (holder !== undefined && this.#isHeld(holder)) throw systemError("EADDRINUSE", "bind");
    opened.socket.local = local;
    this.#bound.set(nameOf(local), opened);
    if (local.family === "unix") this.putFile(local.path, "", 0o777 & ~this.#umask);
  }

  listen(fd: Fd): void {
    this.#mayFail("listen");
    this.#socketOf(fd, "listen").socket.backlog ??= [];
  }

  connect(fd: Fd, address: SocketAddress): boolean {
    this.#mayFail("connect");
    const opened = this.#socketOf(fd, "connect");
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
    const opened = this.#socketOf(fd, "getsockopt");
    const code = this.#nextFailure("socketError") ?? opened.socket.error;
    delete opened.socket.error;
    return code;
  }

  accept(fd: Fd, most: number): readonly Accepted[] {
    this.#mayFail("accept");
    const { backlog } = this.#socketOf(fd, "accept4").socket;
    if (backlog === undefined) throw systemError("EINVAL", "accept4");
    return backlog.splice(0, most).map((opened) => {
      const accepted = this.#fds.add(opened);
      opened.release(); // the reference of the backlog
      return { fd: accepted, peer: opened.socket?.peer ?? NOWHERE };
    });
  }

  getsockname(fd: Fd): SocketAddress {
    this.#mayFail("getsockname");
    return this.#socketOf(fd, "getsockname").socket.local ?? NOWHERE;
  }

  getpeername(fd: Fd): SocketAddress {
    this.#mayFail("getpeername");
    const { socket, incoming } = this.#socketOf(fd, "getpeername");
    if (incoming === undefined) throw systemError("ENOTCONN", "getpeername");
    return socket.peer ?? NOWHERE;
  }

  shutdown(fd: Fd, how: "read" | "write" | "both"): void {
    this.#mayFail("shutdown");
    const opened = this.#socketOf(fd, "shutdown");
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

  /** Was this option switched on? */
  hasOption(fd: Fd, setter: keyof Posix): boolean {
    return this.#socketOf(fd, "getsockopt").socket.options.get(setter) ?? false;
  }

  isListening(fd: Fd): boolean {
    return this.#socketOf(fd, "getsockopt").socket.backlog !== undefined;
  }

  peerCredentials(fd: Fd): { readonly pid: Pid; readonly uid: Uid; readonly gid: Gid } {
    this.#mayFail("peerCredentials");
    this.#socketOf(fd, "getsockopt");
    return this.credentials;
  }

  sendMessage(
    fd: Fd,
    bytes: Uint8Array,
    fds: readonly Fd[],
    to?: SocketAddress,
  ): number | undefined {
    this.#mayFail("sendMessage");
    if (fds.length > RIGHTS_MAX) throw systemError("EINVAL", "sendmsg");
    const opened = this.#socketOf(fd, "sendmsg");
    const rights = fds.map((right) => this.#file(right, "sendmsg"));
    const address = to ?? opened.socket.peer;
    if (opened.outgoing !== undefined) {
      return this.#put(opened, opened.outgoing, bytes, rights, "sendmsg");
    }
    if (address === undefined) throw systemError("ENOTCONN", "sendmsg");
    const target = this.#bound.get(nameOf(address));
    if (target?.incoming === undefined) throw systemError("ECONNREFUSED", "sendmsg");
    return this.#put(opened, target.incoming, bytes, rights, "sendmsg");
  }

  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined {
    this.#mayFail("receiveMessage");
    const opened = this.#socketOf(fd, "recvmsg");
    let message: ReceivedMessage = { bytes: 0, fds: [], truncated: false };
    const bytes = this.#take(opened, into.length, "recvmsg", (parcel) => {
      into.set(parcel.bytes);
      const fds = parcel.rights.map((right) => {
        const received = this.#fds.add(right);
        right.release(); // the reference of the message
        return received;
      });
      message = { ...message, bytes: parcel.bytes.length, fds };
      if (parcel.from !== undefined) message = { ...message, from: parcel.from };
      return parcel.bytes.length;
    });
    return bytes === undefined ? undefined : message;
  }

  // --- the event loop --------------------------------------------------------------------------

  watch(fd: Fd, interest: Interest, ready: (readiness: Readiness) => void): Watch {
    this.#mayFail("watch");
    this.#file(fd, "epoll_ctl");
    if (this.#watches.has(fd)) throw systemError("EEXIST", "epoll_ctl");
    const watch = new FakeWatch(interest, ready, () => {
      if (this.#watches.get(fd) === watch) this.#watches.delete(fd);
    });
    this.#watches.set(fd, watch);
    return watch;
  }

  // --- names and clocks ------------------------------------------------------------------------

  account(nameOrUid: string | Uid): Account | undefined {
    this.#mayFail("account");
    return this.accounts.find(({ name, uid }) => name === nameOrUid || uid === nameOrUid);
  }

  group(nameOrGid: string | Gid): Group | undefined {
    this.#mayFail("group");
    return this.groups.find(({ name, gid }) => name === nameOrGid || gid === nameOrGid);
  }

  groupsListing(account: string): readonly Gid[] {
    this.#mayFail("groupsListing");
    return this.groups.filter(({ members }) => members.includes(account)).map(({ gid }) => gid);
  }

  servicePort(name: string, protocol: string): number | undefined {
    return this.services.get(`${name}/${protocol}`);
  }

  realtimeNs(): bigint {
    return this.nowNs;
  }

  setRealtimeNs(ns: bigint): void {
    this.#mayFail("setRealtimeNs");
    this.#needRoot("clock_settime");
    this.nowNs = ns;
  }

  adjtime(microseconds: bigint): bigint {
    this.#mayFail("adjtime");
    this.#needRoot("adjtime");
    const left = this.#slewLeft;
    this.#slewLeft = microseconds;
    return left;
  }

  /** The name itself: the words differ between C libraries, and no test should depend on them. */
  strerror(code: string): string {
    return code;
  }

  // --- what several calls have in common -----------------------------------------------------------

  #nextFailure(call: keyof Posix): string | undefined {
    return this.#failures.get(call)?.shift();
  }

  #mayFail(call: keyof Posix): void {
    const code = this.#nextFailure(call);
    if (code !== undefined) throw systemError(code, call);
  }

  #needRoot(syscall: string): void {
    if (this.identity.uid !== 0) throw systemError("EPERM", syscall);
  }

  #file(fd: number, syscall: string): OpenFile {
    const opened = this.#fds.get(fd);
    if (opened === undefined) throw systemError("EBADF", syscall);
    return opened;
  }

  #socketOf(fd: Fd, syscall: string): OpenSocket {
    const opened = this.#file(fd, syscall);
    if (!hasSocket(opened)) throw systemError("ENOTSOCK", syscall);
    return opened;
  }

  #isHeld(opened: OpenFile): boolean {
    return this.#fds.numbers.some((fd) => this.#fds.get(fd) === opened);
  }

  #setOption(fd: Fd, setter: keyof Posix, on: boolean): void {
    this.#mayFail(setter);
    this.#socketOf(fd, "setsockopt").socket.options.set(setter, on);
  }

  /** Nonblocking, a reader opens at once and a writer needs a reader; blocking, both need the other. */
  #openFifo(fifo: Channel, opened: OpenFile): Fd {
    const lacks =
      (opened.mode === "write" && fifo.readers === 0) ||
      (opened.mode === "read" && fifo.writers === 0 && !opened.isNonblocking);
    if (lacks && !opened.isNonblocking) throw blocksForEver("open", -1);
    if (lacks) throw systemError("ENXIO", "open");
    opened.attach(
      opened.mode === "write" ? undefined : fifo,
      opened.mode === "read" ? undefined : fifo,
    );
    return this.#fds.add(opened);
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

  #take(
    opened: OpenFile,
    most: number,
    syscall: string,
    use: (parcel: NonNullable<ReturnType<Channel["take"]>>) => number,
  ): number | undefined {
    const { incoming, socket } = opened;
    if (incoming === undefined) throw systemError("ENOTCONN", syscall);
    const parcel = incoming.take(most, socket !== undefined && socket.type !== "stream");
    if (parcel !== undefined) return use(parcel);
    if (incoming.writers <= 0 && socket?.type !== "datagram") return 0;
    if (!opened.isNonblocking) throw blocksForEver(syscall, -1);
    return undefined;
  }

  #write(fd: Fd, bytes: Uint8Array, syscall: string): number | undefined {
    const opened = this.#file(fd, syscall);
    if (opened.outgoing !== undefined)
      return this.#put(opened, opened.outgoing, bytes, [], syscall);
    if (opened.mode === "read" || opened.file === undefined) throw systemError("EBADF", syscall);
    const { content } = opened.file;
    const start = opened.isAppending ? content.length : opened.offset;
    const grown = new Uint8Array(Math.max(content.length, start + bytes.length));
    grown.set(content);
    grown.set(bytes, start);
    opened.file.change(grown);
    opened.offset = start + bytes.length;
    return bytes.length;
  }

  #put(
    opened: OpenFile,
    channel: Channel,
    bytes: Uint8Array,
    rights: readonly OpenFile[],
    syscall: string,
  ): number | undefined {
    if (channel.readers <= 0) throw systemError("EPIPE", syscall);
    const room = channel.room - channel.size;
    if (room <= 0 && !opened.isNonblocking) throw blocksForEver(syscall, -1);
    if (room <= 0) return undefined;
    const isStream = opened.socket === undefined || opened.socket.type === "stream";
    const sent = Uint8Array.from(isStream ? bytes.subarray(0, room) : bytes);
    for (const right of rights) right.retain();
    const from = isStream ? undefined : opened.socket?.local;
    channel.parcels.push({ bytes: sent, rights, from });
    return sent.length;
  }
}

type OpenSocket = OpenFile & { readonly socket: FakeSocket };

function hasSocket(opened: OpenFile): opened is OpenSocket {
  return opened.socket !== undefined;
}

function newSocket(family: SocketAddress["family"], type: FakeSocket["type"]): FakeSocket {
  return { family, type, options: new Map() };
}

/** What anybody may send to: it never comes to an end. */
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

/** The part of a readiness that somebody asked for; undefined when nothing is left. */
function wanted(readiness: Readiness, interest: Interest): Readiness | undefined {
  const readable = readiness.readable && interest.readable === true;
  const writable = readiness.writable && interest.writable === true;
  if (!readable && !writable && !readiness.hangup) return undefined;
  return { readable, writable, hangup: readiness.hangup };
}

class FakeWatch implements Watch {
  #interest: Interest;
  readonly #ready: (readiness: Readiness) => void;
  readonly #closed: () => void;

  constructor(interest: Interest, ready: (readiness: Readiness) => void, closed: () => void) {
    this.#interest = interest;
    this.#ready = ready;
    this.#closed = closed;
  }

  update(interest: Interest): void {
    this.#interest = interest;
  }

  close(): void {
    this.#interest = {};
    this.#closed();
  }

  deliver(readiness: Readiness): boolean {
    const { readable = false, writable = false, hangup = false } = this.#interest;
    if (!readable && !writable && !hangup) return false;
    const due = wanted(readiness, this.#interest);
    if (due === undefined) return false;
    this.#ready(due);
    return true;
  }
}

function systemError(code: string, syscall: string): SystemError {
  const known: Readonly<Record<string, number>> = constants.errno;
  return new SystemError(code, known[code] ?? 0, syscall, code);
}

function blocksForEver(call: string, fd: number): Error {
  return new Error(`fake: ${call} on descriptor ${fd} would block the process for ever`);
}
