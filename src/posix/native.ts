/**
 * The real kernel, through the addon. Here arguments become what the C functions take (paths as
 * NUL-terminated bytes, names of kinds as numbers) and what they leave in shared buffers becomes
 * values again. Nothing else loads the addon.
 */
import { decodeBytes, encodeBytes } from "./bytes.ts";
import { AddressRecords, addressParts, familyNumber } from "./native-address.ts";
import { loadAddon, type Addon, type CString } from "./native-addon.ts";
import { SystemError } from "./posix.ts";
import { PlanWriter, resourceNumber } from "./native-plan.ts";
import { readinessOf, Watcher } from "./native-watch.ts";
import type {
  Accepted,
  Account,
  Child,
  DescriptorKind,
  Fd,
  FileVersion,
  Gid,
  Group,
  Limit,
  OpenMode,
  Pid,
  Posix,
  Interest,
  Readiness,
  ReceivedMessage,
  Resource,
  SocketAddress,
  SpawnRequest,
  Uid,
  WaitStatus,
  Watch,
} from "./posix.ts";

let loaded: Posix | undefined;

/** The calls of this environment's kernel. The addon is loaded by the first call. */
export function loadPosix(): Posix {
  loaded ??= new NativePosix(loadAddon());
  return loaded;
}

const ACCEPT_RECORDS_FIRST = 16;
const RIGHTS_MAX = 253;
const TOLD_HEADER_LENGTH = 3;
const NS_PER_SECOND = 1_000_000_000n;

/** In the order of the kinds in native/output.c. */
const DESCRIPTOR_KINDS: readonly DescriptorKind[] = [
  "file",
  "directory",
  "pipe",
  "socket",
  "memory",
  "device",
];
const ACCESS_MODE = { read: 0, write: 1, readwrite: 2 } as const;
const ACCESS_MODES: readonly OpenMode[] = ["read", "write", "readwrite"];
/** In the order of OPEN_OPTIONS in native/descriptors.c, after the two bits of the access mode. */
const OPEN_FLAG = {
  nonblocking: 4,
  create: 8,
  exclusive: 16,
  truncate: 32,
  append: 64,
  directory: 128,
  noFollow: 256,
} as const;
const NONBLOCKING_STATUS = 4;
const LOCK = { shared: 0, exclusive: 1, unlock: 2 } as const;
const SOCKET_PAIR = { stream: 0, datagram: 1, seqpacket: 2 } as const;
const SHUTDOWN = { read: 0, write: 1, both: 2 } as const;
/** In the order of OPTIONS in native/sockets.c. */
const SOCKET_OPTION = { reuseAddress: 0, reusePort: 1, noDelay: 2, keepAlive: 3 } as const;

class NativePosix implements Posix {
  readonly #addon: Addon;
  readonly #watcher: Watcher;
  readonly #plan = new PlanWriter();
  readonly #numbers = new Float64Array(8);
  readonly #pair = new Int32Array(2);
  readonly #record = new AddressRecords(1);
  #accepted = new AddressRecords(ACCEPT_RECORDS_FIRST);
  readonly #rights = new Int32Array(TOLD_HEADER_LENGTH + RIGHTS_MAX);

  constructor(addon: Addon) {
    this.#addon = addon;
    this.#watcher = new Watcher(addon);
  }

  // --- processes -------------------------------------------------------------------------------

  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never {
    return this.#addon.execve(files, argv, environment);
  }

  spawn(request: SpawnRequest): Child {
    this.#addon.spawn(...this.#spawnArguments(request));
    return this.#spawned();
  }

  spawnAhead(request: SpawnRequest): Child {
    this.#addon.spawnAhead(...this.#spawnArguments(request));
    return this.#spawned();
  }

  spawnFailure(pid: Pid): SystemError | undefined {
    try {
      this.#addon.spawnFailure(pid);
      return undefined;
    } catch (error) {
      if (error instanceof SystemError) return error;
      throw error;
    }
  }

  #spawnArguments(request: SpawnRequest): Parameters<Addon["spawn"]> {
    const { files, argv, environment, environmentExtra, directory } = request;
    const plan = this.#plan.write(request);
    const where = directory === undefined ? undefined : cString(directory);
    return [files, argv, environment, environmentExtra, plan, where, this.#pair];
  }

  #spawned(): Child {
    return { pid: (this.#pair[0] ?? -1) as Pid, pidfd: (this.#pair[1] ?? -1) as Fd };
  }

  reap(pid: Pid): WaitStatus | undefined {
    const status = this.#addon.reap(pid);
    return status < 0 ? undefined : waitStatus(status);
  }

  peekEndedChild(): Pid | undefined {
    const pid = this.#addon.peekEndedChild();
    return pid === 0 ? undefined : (pid as Pid);
  }

  kill(pid: Pid | number, signal: number): void {
    this.#addon.kill(pid, signal);
  }

  getpid(): Pid {
    return this.#addon.getpid() as Pid;
  }

  setsid(): void {
    this.#addon.setsid();
  }

  setpgid(pid: number, pgid: number): void {
    this.#addon.setpgid(pid, pgid);
  }

  tcsetpgrp(fd: Fd, pgid: number, ignoreTtou: boolean): void {
    this.#addon.tcsetpgrp(fd, pgid, ignoreTtou);
  }

  // --- identity, limits and other attributes of this process ---------------------------------------

  getuid(): Uid {
    return this.#addon.getuid();
  }

  getgid(): Gid {
    return this.#addon.getgid();
  }

  geteuid(): Uid {
    return this.#addon.geteuid();
  }

  getegid(): Gid {
    return this.#addon.getegid();
  }

  setgroups(gids: readonly Gid[]): void {
    this.#addon.setgroups(new Float64Array(gids));
  }

  setgid(gid: Gid): void {
    this.#addon.setgid(gid);
  }

  setuid(uid: Uid): void {
    this.#addon.setuid(uid);
  }

  getrlimit(resource: Resource): Limit {
    this.#addon.getrlimit(resourceNumber(resource), this.#numbers);
    return { soft: this.#number(0), hard: this.#number(1) };
  }

  setrlimit(resource: Resource, limit: Limit): void {
    this.#addon.setrlimit(resourceNumber(resource), limit.soft, limit.hard);
  }

  umask(mask: number): number {
    return this.#addon.umask(mask);
  }

  chdir(directory: string): void {
    this.#addon.chdir(cString(directory));
    forgetWorkingDirectory();
  }

  // --- descriptors -----------------------------------------------------------------------------

  open(path: string, mode: OpenMode, options: Parameters<Posix["open"]>[2] = {}): Fd {
    const { create, nonblocking, exclusive, truncate, append, directory, noFollow } = options;
    const flags =
      ACCESS_MODE[mode] |
      (nonblocking === true ? OPEN_FLAG.nonblocking : 0) |
      (create === undefined ? 0 : OPEN_FLAG.create) |
      (exclusive === true ? OPEN_FLAG.exclusive : 0) |
      (truncate === true ? OPEN_FLAG.truncate : 0) |
      (append === true ? OPEN_FLAG.append : 0) |
      (directory === true ? OPEN_FLAG.directory : 0) |
      (noFollow === true ? OPEN_FLAG.noFollow : 0);
    return this.#addon.open(cString(path), flags, create ?? 0) as Fd;
  }

  close(fd: Fd): void {
    this.#watcher.forget(fd);
    this.#addon.close(fd);
  }

  read(fd: Fd, into: Uint8Array): number | undefined {
    return this.#addon.read(fd, into);
  }

  write(fd: Fd, bytes: Uint8Array): number | undefined {
    return this.#addon.write(fd, bytes);
  }

  writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined {
    return this.#addon.writev(fd, buffers);
  }

  peek(fd: Fd, into: Uint8Array): number | undefined {
    return this.#addon.peek(fd, into);
  }

  pipe(): readonly [Fd, Fd] {
    this.#addon.pipe(this.#pair);
    return this.#pairOfFds();
  }

  socketPair(type: "stream" | "datagram" | "seqpacket"): readonly [Fd, Fd] {
    this.#addon.socketPair(SOCKET_PAIR[type], this.#pair);
    return this.#pairOfFds();
  }

  dup2(fd: Fd, target: number, closeOnExec = false): Fd {
    this.#addon.dup2(fd, target, closeOnExec);
    return target as Fd;
  }

  dup(fd: Fd, minimum = 0): Fd {
    return this.#addon.dup(fd, minimum) as Fd;
  }

  isOpen(fd: number): fd is Fd {
    return this.#addon.isOpen(fd);
  }

  unshareDescriptors(): void {
    this.#addon.unshareDescriptors();
  }

  setCloseOnExec(fd: Fd, on: boolean): void {
    this.#addon.setCloseOnExec(fd, on);
  }

  setNonblocking(fd: Fd, on: boolean): boolean {
    return this.#addon.setNonblocking(fd, on);
  }

  isNonblocking(fd: Fd): boolean {
    return (this.#addon.statusFlags(fd) & NONBLOCKING_STATUS) !== 0;
  }

  accessMode(fd: Fd): OpenMode {
    return ACCESS_MODES[this.#addon.statusFlags(fd) & ~NONBLOCKING_STATUS] ?? "readwrite";
  }

  isSocket(fd: Fd): boolean {
    return this.#addon.isSocket(fd);
  }

  isSameOpenFile(a: Fd, b: Fd): boolean | undefined {
    return this.#addon.isSameOpenFile(a, b);
  }

  waitReady(fd: Fd, interest: Interest, timeoutMs: number): Readiness | undefined {
    const { readable = false, writable = false } = interest;
    const bits = this.#addon.waitReady(fd, readable, writable, timeoutMs);
    return bits === 0 ? undefined : readinessOf(bits);
  }

  descriptorKind(fd: Fd): DescriptorKind {
    return DESCRIPTOR_KINDS[this.#addon.descriptorKind(fd)] ?? "other";
  }

  writeNow(fd: Fd, bytes: Uint8Array): number | undefined {
    return this.#addon.writeNow(fd, bytes);
  }

  splice(from: Fd, to: Fd, count: number): number | undefined {
    return this.#addon.splice(from, to, count);
  }

  copyInThread(from: Fd, to: Fd): void {
    this.#addon.copyInThread(from, to);
  }

  // --- files -----------------------------------------------------------------------------------

  fileVersion(path: string): FileVersion | string {
    const failure = this.#addon.fileVersion(cString(path), this.#numbers);
    if (failure !== undefined) return failure;
    return {
      device: this.#number(0),
      inode: this.#number(1),
      sizeBytes: this.#number(2),
      mtimeSeconds: this.#number(3),
      mtimeNanoseconds: this.#number(4),
      ctimeSeconds: this.#number(5),
      ctimeNanoseconds: this.#number(6),
      mode: this.#number(7),
    };
  }

  readable(path: string): string | undefined {
    return this.#addon.readable(cString(path));
  }

  mkfifo(path: string, mode: number): void {
    this.#addon.mkfifo(cString(path), mode);
  }

  fsync(fd: Fd): void {
    this.#addon.fsync(fd);
  }

  flock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
    return this.#addon.flock(fd, LOCK[kind], wait);
  }

  recordLock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
    return this.#addon.recordLock(fd, LOCK[kind], wait);
  }

  recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined {
    const pid = this.#addon.recordLockOwner(fd, LOCK[kind]);
    return pid === 0 ? undefined : (pid as Pid);
  }

  // --- sockets ---------------------------------------------------------------------------------

  socket(family: SocketAddress["family"], type: "stream" | "datagram"): Fd {
    return this.#addon.socket(familyNumber(family), type === "datagram") as Fd;
  }

  bind(fd: Fd, address: SocketAddress): void {
    this.#addon.bind(fd, ...addressParts(address));
  }

  listen(fd: Fd, backlog: number): void {
    this.#addon.listen(fd, backlog);
  }

  connect(fd: Fd, address: SocketAddress): boolean {
    return this.#addon.connect(fd, ...addressParts(address));
  }

  socketError(fd: Fd): string | undefined {
    return this.#addon.socketError(fd);
  }

  accept(fd: Fd, most: number): readonly Accepted[] {
    if (most > this.#accepted.capacity) this.#accepted = new AddressRecords(most);
    const records = this.#accepted;
    const count = this.#addon.accept(fd, most, records.bytes);
    const accepted: Accepted[] = [];
    for (let i = 0; i < count; i++) {
      accepted.push({ fd: records.fd(i) as Fd, peer: records.address(i) });
    }
    return accepted;
  }

  getsockname(fd: Fd): SocketAddress {
    this.#addon.getsockname(fd, this.#record.bytes);
    return this.#record.address(0);
  }

  getpeername(fd: Fd): SocketAddress {
    this.#addon.getpeername(fd, this.#record.bytes);
    return this.#record.address(0);
  }

  shutdown(fd: Fd, how: keyof typeof SHUTDOWN): void {
    this.#addon.shutdown(fd, SHUTDOWN[how]);
  }

  setReuseAddress(fd: Fd, on: boolean): void {
    this.#addon.setOption(fd, SOCKET_OPTION.reuseAddress, on);
  }

  setReusePort(fd: Fd, on: boolean): void {
    this.#addon.setOption(fd, SOCKET_OPTION.reusePort, on);
  }

  setNoDelay(fd: Fd, on: boolean): void {
    this.#addon.setOption(fd, SOCKET_OPTION.noDelay, on);
  }

  setKeepAlive(fd: Fd, on: boolean): void {
    this.#addon.setOption(fd, SOCKET_OPTION.keepAlive, on);
  }

  isListening(fd: Fd): boolean {
    return this.#addon.isListening(fd);
  }

  peerCredentials(fd: Fd): { readonly pid: Pid; readonly uid: Uid; readonly gid: Gid } {
    this.#addon.peerCredentials(fd, this.#numbers);
    return { pid: this.#number(0) as Pid, uid: this.#number(1), gid: this.#number(2) };
  }

  sendMessage(
    fd: Fd,
    bytes: Uint8Array,
    fds: readonly Fd[],
    to?: SocketAddress,
  ): number | undefined {
    const rights = fds.length <= RIGHTS_MAX ? this.#rights : new Int32Array(fds.length);
    fds.forEach((right, index) => (rights[index] = right));
    const address = to === undefined ? ([] as const) : addressParts(to);
    return this.#addon.sendMessage(fd, bytes, rights, fds.length, ...address);
  }

  receiveMessage(fd: Fd, into: Uint8Array): ReceivedMessage | undefined {
    const bytes = this.#addon.receiveMessage(fd, into, this.#rights, this.#record.bytes);
    if (bytes === undefined) return undefined;
    const [count = 0, isTruncated = 0, hasAddress = 0] = this.#rights;
    const end = TOLD_HEADER_LENGTH + count;
    const message = {
      bytes,
      fds: Array.from(this.#rights.subarray(TOLD_HEADER_LENGTH, end)) as Fd[],
      truncated: isTruncated !== 0,
    };
    return hasAddress === 0 ? message : { ...message, from: this.#record.address(0) };
  }

  // --- the event loop --------------------------------------------------------------------------

  watch(
    fd: Fd,
    interest: Interest,
    ready: (readiness: Readiness) => void,
    { keepsAlive = true }: { readonly keepsAlive?: boolean } = {},
  ): Watch {
    return this.#watcher.watch(fd, interest, ready, keepsAlive);
  }

  // --- names and clocks ------------------------------------------------------------------------

  account(nameOrUid: string | Uid): Account | undefined {
    const [byName, uid] = nameOrNumber(nameOrUid);
    const parts = this.#addon.account(byName, uid);
    if (parts === undefined) return undefined;
    const [name, entryUid, gid, home, shell] = parts;
    return {
      name: decodeBytes(name),
      uid: entryUid,
      gid,
      home: decodeBytes(home),
      shell: decodeBytes(shell),
    };
  }

  group(nameOrGid: string | Gid): Group | undefined {
    const [byName, gid] = nameOrNumber(nameOrGid);
    const parts = this.#addon.group(byName, gid);
    if (parts === undefined) return undefined;
    const [name, entryGid, members] = parts;
    return { name: decodeBytes(name), gid: entryGid, members: members.map(decodeBytes) };
  }

  groupsListing(account: string): readonly Gid[] {
    return this.#addon.groupsListing(cString(account));
  }

  servicePort(name: string, protocol: string): number | undefined {
    const port = this.#addon.servicePort(cString(name), cString(protocol));
    return port < 0 ? undefined : port;
  }

  realtimeNs(): bigint {
    this.#addon.realtime(this.#numbers);
    return BigInt(this.#number(0)) * NS_PER_SECOND + BigInt(this.#number(1));
  }

  setRealtimeNs(ns: bigint): void {
    this.#addon.setRealtime(ns);
  }

  adjtime(microseconds: bigint): bigint {
    return this.#addon.adjtime(microseconds);
  }

  strerror(code: string): string {
    const message = this.#addon.strerror(cString(code));
    return message === undefined ? code : decodeBytes(message);
  }

  #number(index: number): number {
    return this.#numbers[index] ?? 0;
  }

  #pairOfFds(): readonly [Fd, Fd] {
    return [(this.#pair[0] ?? -1) as Fd, (this.#pair[1] ?? -1) as Fd];
  }
}

function cString(text: string): CString {
  return encodeBytes(`${text}\0`);
}

function nameOrNumber(value: string | number): [CString | undefined, number] {
  return typeof value === "string" ? [cString(value), 0] : [undefined, value];
}

/** The status of waitpid(2), by the layout that all Linux architectures share. */
function waitStatus(status: number): WaitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { kind: "exited", exitCode: (status >> 8) & 0xff };
  return { kind: "killed", signal, coreDumped: (status & 0x80) !== 0 };
}

/** Node caches the working directory; changing to where we are makes it ask again. */
function forgetWorkingDirectory(): void {
  try {
    process.chdir(".");
  } catch {
    // In a worker, which may not do this, or in a directory that this process cannot search.
  }
}
