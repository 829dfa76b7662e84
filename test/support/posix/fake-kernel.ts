/**
 * The common state of the families of the fake kernel: its descriptors and files, the identity of the
 * process, and the failures that a test has ordered.
 */
import { constants } from "node:os";

import {
  SystemError,
  type Fd,
  type Gid,
  type Pid,
  type Posix,
  type Readiness,
  type Uid,
} from "../../../src/posix/posix.ts";
import {
  FakeFile,
  FdTable,
  OpenFile,
  type Channel,
  type FakeSocket,
  type Parcel,
} from "./fake-file.ts";
import { FakePathError, FakeTree } from "./fake-tree.ts";
import type { FakeWatch } from "./fake-watch.ts";

/** The process that the fake kernel runs. */
export const OWN_PID = 100 as Pid;

export type OpenSocket = OpenFile & { readonly socket: FakeSocket };

export class FakeKernel {
  protected readonly tree = new FakeTree();
  /** Files by their paths, in the shortest spelling. */
  readonly files = this.tree.files;
  identity: { uid: Uid; gid: Gid; groups: readonly Gid[] } = { uid: 0, gid: 0, groups: [] };
  protected readonly fds = new FdTable();
  protected readonly watches = new Map<Fd, FakeWatch>();
  protected mask = 0o022;
  readonly #failures = new Map<keyof Posix, string[]>();

  /** Descriptors 0 to 2 are open, on files of that name that swallow or give nothing. */
  constructor() {
    for (const fd of [0, 1, 2]) {
      const file = new OpenFile("readwrite");
      file.file = new FakeFile(this.tree.newInode(), new Uint8Array(0), 0o666, "file");
      this.fds.place(file, fd, false);
    }
  }

  /** The next call of this name fails with this errno; several wait for their turn. */
  failNext(call: keyof Posix, code: string): void {
    this.#failures.set(call, [...(this.#failures.get(call) ?? []), code]);
  }

  /** Make or replace (by another inode, as rename(2) does) a file. */
  putFile(path: string, content: string | Uint8Array, mode = 0o644): FakeFile {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    return this.tree.put(path, "file", bytes, mode);
  }

  putDirectory(path: string, mode = 0o755): FakeFile {
    return this.tree.putDirectory(path, mode);
  }

  /** The bytes that were written to a file. */
  fileText(path: string): string {
    return Buffer.from(this.files.get(path)?.content ?? []).toString();
  }

  /** The descriptors that are open, which a test of clean-up wants to be the ones before. */
  get openFds(): readonly Fd[] {
    return this.fds.numbers;
  }

  /** Call the watch of a descriptor with this readiness, whatever the state of the descriptor. */
  fire(fd: Fd, readiness: Partial<Readiness>): void {
    this.watches
      .get(fd)
      ?.deliver({ readable: false, writable: false, hangup: false, ...readiness });
  }

  /** One turn of the event loop: call each watch that is ready. How many were called. */
  turn(): number {
    const due = [...this.watches]; // those that a callback adds have to wait
    let called = 0;
    for (const [fd, watch] of due) {
      const file = this.fds.get(fd);
      if (file !== undefined && this.watches.get(fd) === watch && watch.deliver(file.readiness)) {
        called++;
      }
    }
    return called;
  }

  protected nextFailure(call: keyof Posix): string | undefined {
    return this.#failures.get(call)?.shift();
  }

  protected mayFail(call: keyof Posix): void {
    const code = this.nextFailure(call);
    if (code !== undefined) throw systemError(code, call);
  }

  /** The file at the end of a path, by its own path; the errno of one that leads nowhere is thrown. */
  protected resolve(path: string, at: Fd | undefined, followsLast: boolean, call: string): string {
    const directory = at === undefined ? undefined : this.opened(at, call).file;
    if (at !== undefined && directory?.kind !== "directory") throw systemError("ENOTDIR", call);
    try {
      return this.tree.resolve(path, directory, followsLast);
    } catch (error) {
      if (error instanceof FakePathError) throw systemError(error.code, call);
      throw error;
    }
  }

  /** The path for an entry that is to be made, whose name must be free. */
  protected freePath(path: string, at: Fd | undefined, call: string): string {
    const resolved = this.resolve(path, at, false, call);
    if (this.files.has(resolved)) throw systemError("EEXIST", call);
    return resolved;
  }

  protected needRoot(syscall: string): void {
    if (this.identity.uid !== 0) throw systemError("EPERM", syscall);
  }

  protected opened(fd: number, syscall: string): OpenFile {
    const opened = this.fds.get(fd);
    if (opened === undefined) throw systemError("EBADF", syscall);
    return opened;
  }

  protected openedSocket(fd: Fd, syscall: string): OpenSocket {
    const opened = this.opened(fd, syscall);
    if (!hasSocket(opened)) throw systemError("ENOTSOCK", syscall);
    return opened;
  }

  protected takeFrom(
    opened: OpenFile,
    most: number,
    syscall: string,
    use: (parcel: Parcel) => number,
  ): number | undefined {
    const { incoming, socket } = opened;
    if (incoming === undefined) throw systemError("ENOTCONN", syscall);
    const parcel = incoming.take(most, socket !== undefined && socket.type !== "stream");
    if (parcel !== undefined) return use(parcel);
    if (incoming.writers <= 0 && socket?.type !== "datagram") return 0;
    if (!opened.isNonblocking) throw blocksForEver(syscall, -1);
    return undefined;
  }

  protected putInto(
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

export function hasSocket(opened: OpenFile): opened is OpenSocket {
  return opened.socket !== undefined;
}

export function systemError(code: string, syscall: string): SystemError {
  const known: Readonly<Record<string, number>> = constants.errno;
  return new SystemError(code, known[code] ?? 0, syscall, code);
}

export function blocksForEver(call: string, fd: number): Error {
  return new Error(`fake: ${call} on descriptor ${fd} would block the process for ever`);
}
