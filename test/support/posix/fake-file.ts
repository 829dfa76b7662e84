/**
 * The objects of the descriptors of FakePosix: files in memory, channels of bytes between two ends,
 * and the open file descriptions that processes share. No errno is thrown here; see fake-posix.ts.
 */
import type {
  Fd,
  FileVersion,
  Gid,
  LockKind,
  LockOwner,
  OpenMode,
  Readiness,
  SocketAddress,
  SocketType,
  Uid,
} from "../../../src/posix/posix.ts";

/** The S_IF bits of each kind. */
const TYPE_BITS = {
  file: 0o100000,
  fifo: 0o010000,
  directory: 0o040000,
  link: 0o120000,
  socket: 0o140000,
} as const;
const PIPE_BYTES = 65_536;

/** A file, directory, symbolic link or fifo in memory. */
export class FakeFile {
  /** The bytes of a file; what a symbolic link says. */
  content: Uint8Array;
  mode: number;
  uid: Uid = 0;
  gid: Gid = 0;
  readonly inode: number;
  readonly kind: keyof typeof TYPE_BITS;
  readonly fifo: Channel | undefined;
  readonly locks = new Map<OpenFile, LockKind>();
  /** The record locks of open files of ours. */
  readonly recordLocks = new Map<OpenFile, LockKind>();
  /** The record lock of another process, which tests set. */
  foreignLock: { readonly owner: LockOwner; readonly kind: LockKind } | undefined;
  #version = 1;

  constructor(
    inode: number,
    content: Uint8Array,
    permissions: number,
    kind: keyof typeof TYPE_BITS,
  ) {
    this.inode = inode;
    this.content = content;
    this.kind = kind;
    this.mode = TYPE_BITS[kind] | permissions;
    this.fifo = kind === "fifo" ? new Channel() : undefined;
  }

  /** Other permission bits. */
  setPermissions(permissions: number): void {
    this.mode = TYPE_BITS[this.kind] | permissions;
    this.#version++;
  }

  change(content: Uint8Array): void {
    this.content = content;
    this.#version++;
  }

  get version(): FileVersion {
    return {
      device: 1,
      inode: this.inode,
      sizeBytes: this.content.length,
      mtimeSeconds: this.#version,
      mtimeNanoseconds: 0,
      ctimeSeconds: this.#version,
      ctimeNanoseconds: 0,
      mode: this.mode,
      uid: this.uid,
    };
  }
}

/** Bytes that were sent together, with the descriptors and the sender's address, if any. */
export interface Parcel {
  readonly bytes: Uint8Array;
  readonly rights: readonly OpenFile[];
  readonly from?: SocketAddress | undefined;
  /** A part of a datagram, for there was no room for the rest. */
  readonly wasCut?: boolean;
}

/** One direction of a pipe or socket: what was written and not yet read. */
export class Channel {
  readonly parcels: Parcel[] = [];
  readonly room: number;
  /** The number of open files that may still write to and read from it. */
  writers = 0;
  readers = 0;

  constructor(room = PIPE_BYTES) {
    this.room = room;
  }

  get size(): number {
    return this.parcels.reduce((sum, parcel) => sum + parcel.bytes.length, 0);
  }

  get isReadable(): boolean {
    return this.parcels.length > 0;
  }

  get isWritable(): boolean {
    return this.size < this.room;
  }

  /** Take up to `most` bytes of the first parcel; what is left of a datagram is lost. */
  take(most: number, isDatagram: boolean): Parcel | undefined {
    const first = this.parcels.shift();
    if (first === undefined || first.bytes.length <= most) return first;
    if (isDatagram) return { ...first, bytes: first.bytes.subarray(0, most), wasCut: true };
    this.parcels.unshift({ ...first, bytes: first.bytes.subarray(most), rights: [] });
    return { ...first, bytes: first.bytes.subarray(0, most) };
  }

  /** The first of the bytes of a stream, which stay. */
  peek(most: number): Uint8Array {
    return Buffer.concat(this.parcels.map(({ bytes }) => bytes)).subarray(0, most);
  }
}

/** The additional state of an open file that is a socket. */
export interface FakeSocket {
  readonly family: SocketAddress["family"];
  readonly type: SocketType;
  local?: SocketAddress;
  peer?: SocketAddress;
  /** Connections that wait to be accepted; present when it listens. */
  backlog?: OpenFile[];
  /** The backlog that listen was given; a Unix socket takes one connection more. */
  backlogMax?: number;
  error?: string;
  readonly options: Map<string, boolean>;
}

/** An open file description: shared by all descriptors that were copied from one another. */
export class OpenFile {
  readonly mode: OpenMode;
  isNonblocking: boolean;
  file?: FakeFile;
  isAppending = false;
  isPathOnly = false;
  offset = 0;
  incoming?: Channel;
  outgoing?: Channel;
  socket?: FakeSocket;
  /** For a pidfd: has the process ended? */
  hasEnded?: () => boolean;
  #references = 0;

  constructor(mode: OpenMode, isNonblocking = false) {
    this.mode = mode;
    this.isNonblocking = isNonblocking;
  }

  /** Give it the channels it reads from and writes to; once, before it is used. */
  attach(incoming: Channel | undefined, outgoing: Channel | undefined): this {
    if (incoming !== undefined) this.incoming = incoming;
    if (outgoing !== undefined) this.outgoing = outgoing;
    if (this.#references > 0) this.#count(1);
    return this;
  }

  retain(): this {
    if (this.#references++ === 0) this.#count(1);
    return this;
  }

  release(): void {
    if (--this.#references > 0) return;
    this.#count(-1);
    this.file?.locks.delete(this);
    this.file?.recordLocks.delete(this);
    for (const waiting of this.socket?.backlog?.splice(0) ?? []) waiting.release();
  }

  shutdown(how: "read" | "write" | "both"): void {
    if (how !== "write" && this.incoming !== undefined) this.incoming.readers = 0;
    if (how !== "read" && this.outgoing !== undefined) this.outgoing.writers = 0;
  }

  /** The result that poll(2) would have. */
  get readiness(): Readiness {
    if (this.hasEnded !== undefined) return only({ readable: this.hasEnded() });
    if (this.socket?.backlog !== undefined) {
      return only({ readable: this.socket.backlog.length > 0 });
    }
    const { incoming, outgoing } = this;
    if (incoming === undefined && outgoing === undefined) {
      return { readable: true, writable: true, hangup: false };
    }
    const isAtEnd = incoming !== undefined && incoming.writers <= 0;
    const isBroken = outgoing !== undefined && outgoing.readers <= 0;
    return {
      readable: incoming !== undefined && (incoming.isReadable || isAtEnd),
      writable: this.#isWritable || isBroken,
      hangup: (isAtEnd && (outgoing === undefined || isBroken)) || (isBroken && !incoming),
    };
  }

  /** A datagram socket can be written to, whomever it talks to. */
  get #isWritable(): boolean {
    return this.outgoing?.isWritable ?? this.socket?.type === "datagram";
  }

  #count(change: 1 | -1): void {
    if (this.incoming !== undefined) this.incoming.readers += change;
    if (this.outgoing !== undefined) this.outgoing.writers += change;
  }
}

function only(readiness: Partial<Readiness>): Readiness {
  return { readable: false, writable: false, hangup: false, ...readiness };
}

/** Two open files that talk to each other, as socketpair(2) and a connection have them. */
export function connectedPair(make: () => OpenFile, room?: number): readonly [OpenFile, OpenFile] {
  const there = new Channel(room);
  const back = new Channel(room);
  return [make().attach(back, there), make().attach(there, back)];
}

/** The descriptors of one process. */
export class FdTable {
  readonly #entries = new Map<number, { file: OpenFile; closeOnExec: boolean }>();

  get(fd: number): OpenFile | undefined {
    return this.#entries.get(fd)?.file;
  }

  isCloseOnExec(fd: number): boolean {
    return this.#entries.get(fd)?.closeOnExec ?? false;
  }

  setCloseOnExec(fd: number, on: boolean): void {
    const entry = this.#entries.get(fd);
    if (entry !== undefined) entry.closeOnExec = on;
  }

  /** Put an open file at the lowest free number that is at least `minimum`. */
  add(file: OpenFile, minimum = 0): Fd {
    let fd = minimum;
    while (this.#entries.has(fd)) fd++;
    return this.place(file, fd, true);
  }

  place(file: OpenFile, fd: number, closeOnExec: boolean): Fd {
    file.retain();
    this.remove(fd);
    this.#entries.set(fd, { file, closeOnExec });
    return fd as Fd;
  }

  remove(fd: number): void {
    const entry = this.#entries.get(fd);
    this.#entries.delete(fd);
    entry?.file.release();
  }

  get numbers(): readonly Fd[] {
    return [...this.#entries.keys()].sort((a, b) => a - b) as Fd[];
  }

  clear(): void {
    for (const fd of this.numbers) this.remove(fd);
  }
}
