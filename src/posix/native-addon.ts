/**
 * The functions of the addon as C exports them (see native/*.c), and where the addon is found. Only
 * native.ts and its parts know this face; everybody else talks to `Posix`.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./package-root.ts";

import { SystemError } from "./posix.ts";

/** A path or name for C: bytes that end with a NUL. */
export type CString = Uint8Array;

/** Family (0 none, 1 Unix, 4, 6), bytes, port and scope of an address. */
export type AddressParts = readonly [
  family: number,
  bytes: Uint8Array,
  port: number,
  scope: number,
];

export interface Addon {
  initialize(makeError: (...parts: ConstructorParameters<typeof SystemError>) => SystemError): void;

  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never;
  spawn(
    files: Uint8Array,
    argv: Uint8Array,
    environment: Uint8Array,
    environmentExtra: Uint8Array | undefined,
    plan: Float64Array,
    directory: CString | undefined,
    result: Int32Array,
  ): void;
  spawnAhead(
    files: Uint8Array,
    argv: Uint8Array,
    environment: Uint8Array,
    environmentExtra: Uint8Array | undefined,
    plan: Float64Array,
    directory: CString | undefined,
    result: Int32Array,
  ): void;
  spawnFailure(pid: number): void;
  reap(pid: number): number;
  peekEndedChild(): number;
  kill(pid: number, signal: number): void;
  getpid(): number;
  setsid(): void;
  setpgid(pid: number, pgid: number): void;
  tcsetpgrp(fd: number, pgid: number, ignoreTtou: boolean): void;

  getuid(): number;
  getgid(): number;
  geteuid(): number;
  getegid(): number;
  setgroups(gids: Float64Array): void;
  setgid(gid: number): void;
  setuid(uid: number): void;
  getrlimit(resource: number, into: Float64Array): void;
  setrlimit(resource: number, soft: number, hard: number): void;
  umask(mask: number): number;
  chdir(directory: CString): void;

  open(path: CString, flags: number, mode: number): number;
  close(fd: number): void;
  read(fd: number, into: Uint8Array): number | undefined;
  write(fd: number, bytes: Uint8Array): number | undefined;
  writev(fd: number, buffers: readonly Uint8Array[]): number | undefined;
  peek(fd: number, into: Uint8Array): number | undefined;
  pipe(ends: Int32Array): void;
  dup2(fd: number, target: number, closeOnExec: boolean): void;
  dup(fd: number, minimum: number): number;
  isOpen(fd: number): boolean;
  setCloseOnExec(fd: number, on: boolean): void;
  statusFlags(fd: number): number;
  setNonblocking(fd: number, on: boolean): boolean;
  isSocket(fd: number): boolean;
  isSameOpenFile(a: number, b: number): boolean | undefined;
  waitReady(fd: number, readable: boolean, writable: boolean, timeoutMs: number): number;
  descriptorKind(fd: number): number;
  writeNow(fd: number, bytes: Uint8Array): number | undefined;
  splice(from: number, to: number, count: number): number | undefined;
  copyInThread(from: number, to: number): void;

  fileVersion(path: CString, into: Float64Array): string | undefined;
  readable(path: CString): string | undefined;
  mkfifo(path: CString, mode: number): void;
  fsync(fd: number): void;
  flock(fd: number, kind: number, wait: boolean): boolean;
  recordLock(fd: number, kind: number, wait: boolean): boolean;
  recordLockOwner(fd: number, kind: number): number;

  socket(family: number, isDatagram: boolean): number;
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

  unshareDescriptors(): void;

  watchStart(dispatch: (count: number) => void, events: Float64Array): void;
  watchAdd(fd: number, interest: number, token: number, keepsAlive: boolean): void;
  watchModify(fd: number, interest: number, token: number): void;
  watchRemove(fd: number, keepsAlive: boolean): void;

  account(name: CString | undefined, uid: number): AccountParts | undefined;
  group(name: CString | undefined, gid: number): GroupParts | undefined;
  groupsListing(account: CString): number[];
  servicePort(name: CString, protocol: CString): number;
  strerror(code: CString): Uint8Array | undefined;
  realtime(into: Float64Array): void;
  setRealtime(ns: bigint): void;
  adjtime(microseconds: bigint): bigint;
}

export type AccountParts = [
  name: Uint8Array,
  uid: number,
  gid: number,
  home: Uint8Array,
  shell: Uint8Array,
];

export type GroupParts = [name: Uint8Array, gid: number, members: Uint8Array[]];

/**
 * Load the prebuilt addon for this platform. `UCSPI_ADDON` names another file instead, which is for
 * development: a build with sanitizers, for instance.
 */
export function loadAddon(): Addon {
  const path = process.env["UCSPI_ADDON"] || findPrebuild();
  const loaded: { exports: Partial<Addon> } = { exports: {} };
  process.dlopen(loaded, path);
  const addon = loaded.exports as Addon;
  addon.initialize((code, errno, syscall, message) => {
    return new SystemError(code, errno, syscall, message);
  });
  return addon;
}

function findPrebuild(): string {
  const platform = `${process.platform}-${process.arch}-${libcOfThisProcess()}`;
  const path = join(packageRoot(), "prebuilds", platform, "posix.node");
  if (existsSync(path)) return path;
  throw new Error(
    `ucspi has no prebuilt addon for ${platform} here; run "npm run build" with a C compiler`,
  );
}

/** The beginning of an executable, where its program interpreter is named. */
const EXECUTABLE_HEAD_BYTES = 4096;

/** The names that processor types have in the name of musl's program interpreter. */
const MUSL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Which libc this Node is linked to. A machine may have both (Debian's musl-tools), so where musl is
 * there at all Node's own file is asked. (process.report knows too, but takes milliseconds to tell.)
 */
function libcOfThisProcess(): "glibc" | "musl" {
  const architecture = MUSL_ARCHITECTURES[process.arch];
  const mayBeMusl = architecture === undefined || existsSync(`/lib/ld-musl-${architecture}.so.1`);
  return mayBeMusl && isLinkedToMusl() ? "musl" : "glibc";
}

function isLinkedToMusl(): boolean {
  const head = Buffer.allocUnsafe(EXECUTABLE_HEAD_BYTES);
  const fd = openSync("/proc/self/exe", "r");
  try {
    const length = readSync(fd, head, 0, EXECUTABLE_HEAD_BYTES, 0);
    return head.subarray(0, length).includes("/ld-musl-");
  } finally {
    closeSync(fd);
  }
}
