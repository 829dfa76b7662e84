/** Descriptors: opening, closing, reading, writing, copying, flags, readiness. */

import { cString, type CString } from "./bytes.ts";
import { readinessOf, type Interest, type Readiness } from "./event-loop.ts";
import { fdPair, type Fd } from "./kernel.ts";

/** The number of buffers that one `writev` takes; more than that are for the next one. */
export const WRITEV_BUFFERS_MAX = 64;

export type OpenMode = "read" | "write" | "readwrite";

/** The flags with which a file is opened, beside the access mode. */
export interface OpenOptions {
  readonly nonblocking?: boolean;
  /** Make the file if there is none, with these permission bits less those of the umask. */
  readonly create?: number;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
  readonly append?: boolean;
  readonly directory?: boolean;
  readonly noFollow?: boolean;
  /**
   * O_PATH: a descriptor that stands for the place alone, to start paths from and to ask for its version. It
   * takes no permission to read the directory.
   */
  readonly pathOnly?: boolean;
  /** The directory from which a relative path starts; the working directory unless given. */
  readonly at?: Fd | undefined;
}

/** Calls on descriptors. */
export interface Descriptors {
  /** openat(2), close-on-exec; a terminal never becomes the controlling one. */
  open(path: string, mode: OpenMode, options?: OpenOptions): Fd;
  close(fd: Fd): void;
  /** read(2); undefined when it would block, 0 at end of file. */
  read(fd: Fd, into: Uint8Array): number | undefined;
  /** pread(2): read at a position, which leaves the descriptor's own where it is. */
  readAt(fd: Fd, into: Uint8Array, position: number): number | undefined;
  /** pwrite(2). The position means nothing for a file that was opened to append. */
  writeAt(fd: Fd, bytes: Uint8Array, position: number): number | undefined;
  /** lseek(2): move the place of the next read or write; where it is then. */
  seek(fd: Fd, offset: number, from: "start" | "here" | "end"): number;
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
  /** dup3(2); the copy is not close-on-exec unless asked for. */
  dup2(fd: Fd, target: number, closeOnExec?: boolean): Fd;
  /** F_DUPFD_CLOEXEC: the lowest free number that is at least `minimum`. */
  dup(fd: Fd, minimum?: number): Fd;
  /** Is this number an open descriptor? The only way to make an Fd of a number that came from outside. */
  isOpen(fd: number): fd is Fd;
  setCloseOnExec(fd: Fd, on: boolean): void;
  isCloseOnExec(fd: Fd): boolean;
  /**
   * unshare(2) CLONE_FILES: from now on this thread has descriptors of its own, so that giving them
   * the numbers a program wants changes nothing for the threads of Node. Just before execve only. The
   * process loses the locks of F_SETLK that a program before it took, and keeps its own.
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
}

/** The exports of C for this family (`native/`). */
export interface DescriptorsAddon {
  open(path: CString, flags: number, mode: number, at: number | undefined): number;
  close(fd: number): void;
  read(fd: number, into: Uint8Array): number | undefined;
  readAt(fd: number, into: Uint8Array, position: number): number | undefined;
  writeAt(fd: number, bytes: Uint8Array, position: number): number | undefined;
  seek(fd: number, offset: number, whence: number): number;
  write(fd: number, bytes: Uint8Array): number | undefined;
  writev(fd: number, buffers: readonly Uint8Array[]): number | undefined;
  peek(fd: number, into: Uint8Array): number | undefined;
  pipe(ends: Int32Array): void;
  dup2(fd: number, target: number, closeOnExec: boolean): void;
  dup(fd: number, minimum: number): number;
  isOpen(fd: number): boolean;
  setCloseOnExec(fd: number, on: boolean): void;
  isCloseOnExec(fd: number): boolean;
  statusFlags(fd: number): number;
  setNonblocking(fd: number, on: boolean): boolean;
  isSocket(fd: number): boolean;
  isSameOpenFile(a: number, b: number): boolean | undefined;
  waitReady(fd: number, readable: boolean, writable: boolean, timeoutMs: number): number;
  unshareDescriptors(): void;
}

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
  pathOnly: 512,
} as const;
const NONBLOCKING_STATUS = 4;
/** In the order of WHENCE in native/descriptors.c. */
const WHENCE = { start: 0, here: 1, end: 2 } as const;

/** The calls of this kernel on descriptors. `closing` is told of each that is about to be closed. */
export function nativeDescriptors(addon: DescriptorsAddon, closing: (fd: Fd) => void): Descriptors {
  const pair = new Int32Array(2);
  return {
    open(path: string, mode: OpenMode, options: OpenOptions = {}): Fd {
      const { create, nonblocking, exclusive, truncate, append, directory, noFollow, at } = options;
      const { pathOnly } = options;
      const flags =
        ACCESS_MODE[mode] |
        (nonblocking === true ? OPEN_FLAG.nonblocking : 0) |
        (create === undefined ? 0 : OPEN_FLAG.create) |
        (exclusive === true ? OPEN_FLAG.exclusive : 0) |
        (truncate === true ? OPEN_FLAG.truncate : 0) |
        (append === true ? OPEN_FLAG.append : 0) |
        (directory === true ? OPEN_FLAG.directory : 0) |
        (noFollow === true ? OPEN_FLAG.noFollow : 0) |
        (pathOnly === true ? OPEN_FLAG.pathOnly : 0);
      return addon.open(cString(path), flags, create ?? 0, at) as Fd;
    },

    close(fd: Fd): void {
      closing(fd);
      addon.close(fd);
    },

    read(fd: Fd, into: Uint8Array): number | undefined {
      return addon.read(fd, into);
    },

    readAt(fd: Fd, into: Uint8Array, position: number): number | undefined {
      return addon.readAt(fd, into, position);
    },

    writeAt(fd: Fd, bytes: Uint8Array, position: number): number | undefined {
      return addon.writeAt(fd, bytes, position);
    },

    seek(fd: Fd, offset: number, from: keyof typeof WHENCE): number {
      return addon.seek(fd, offset, WHENCE[from]);
    },

    write(fd: Fd, bytes: Uint8Array): number | undefined {
      return addon.write(fd, bytes);
    },

    writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined {
      return addon.writev(fd, buffers);
    },

    peek(fd: Fd, into: Uint8Array): number | undefined {
      return addon.peek(fd, into);
    },

    pipe(): readonly [Fd, Fd] {
      addon.pipe(pair);
      return fdPair(pair);
    },

    dup2(fd: Fd, target: number, closeOnExec = false): Fd {
      addon.dup2(fd, target, closeOnExec);
      return target as Fd;
    },

    dup(fd: Fd, minimum = 0): Fd {
      return addon.dup(fd, minimum) as Fd;
    },

    isOpen(fd: number): fd is Fd {
      return addon.isOpen(fd);
    },

    unshareDescriptors(): void {
      addon.unshareDescriptors();
    },

    setCloseOnExec(fd: Fd, on: boolean): void {
      addon.setCloseOnExec(fd, on);
    },

    isCloseOnExec(fd: Fd): boolean {
      return addon.isCloseOnExec(fd);
    },

    setNonblocking(fd: Fd, on: boolean): boolean {
      return addon.setNonblocking(fd, on);
    },

    isNonblocking(fd: Fd): boolean {
      return (addon.statusFlags(fd) & NONBLOCKING_STATUS) !== 0;
    },

    accessMode(fd: Fd): OpenMode {
      return ACCESS_MODES[addon.statusFlags(fd) & ~NONBLOCKING_STATUS] ?? "readwrite";
    },

    isSocket(fd: Fd): boolean {
      return addon.isSocket(fd);
    },

    isSameOpenFile(a: Fd, b: Fd): boolean | undefined {
      return addon.isSameOpenFile(a, b);
    },

    waitReady(fd: Fd, interest: Interest, timeoutMs: number): Readiness | undefined {
      const { readable = false, writable = false } = interest;
      const bits = addon.waitReady(fd, readable, writable, timeoutMs);
      return bits === 0 ? undefined : readinessOf(bits);
    },
  };
}
