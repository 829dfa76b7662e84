/**
 * Writing to a descriptor that others share, without ever waiting and without changing its flags. How
 * depends on what it is open on:
 *
 * - pipes and sockets: a write that tells when it would wait (`writeNow`); for pipes of kernels before
 *   6.4, splice(2) from a pipe of our own;
 * - regular files, /dev/null and its like: write(2), which only a disk that hangs can hold up;
 * - terminals and other devices: a thread waits in our place.
 *
 * Up to PIPE_BUF (4096) bytes, what is written at once is one piece in a pipe. More than that may be
 * written in several pieces, between which other processes may write.
 */

import { SystemError } from "../posix/index.ts";
import type { Fd, Posix, Watch } from "../posix/index.ts";

/** The errors of a kernel or a sandbox without such a call for this descriptor. */
const UNABLE: ReadonlySet<string> = new Set(["EOPNOTSUPP", "ENOSYS", "EINVAL", "EPERM"]);

/** The way in which one descriptor is written to. */
interface Means {
  /** Some of the bytes; undefined when it would have to wait. Throws SystemError. */
  write(bytes: Uint8Array): number | undefined;
  /** The descriptor to wait for. */
  readonly waitsFor: Fd;
  /** Is what was written still on its way? Then `close` first, and wait for this one to hang up. */
  readonly isDeferred: boolean;
  close(): void;
}

export class Outlet {
  readonly #posix: Posix;
  readonly #fd: Fd;
  #means: Means | undefined;
  #watch: Watch | undefined;

  constructor(posix: Posix, fd: Fd) {
    this.#posix = posix;
    this.#fd = fd;
  }

  /** Is what was written still on its way to the descriptor? */
  get isDeferred(): boolean {
    return this.#means?.isDeferred ?? false;
  }

  /** Write some of these bytes; undefined when that would wait. Throws SystemError. */
  write(bytes: Uint8Array): number | undefined {
    this.#means ??= this.#choose();
    try {
      return this.#means.write(bytes);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (!UNABLE.has(error.code)) {
        if (this.#means.isDeferred) this.#forget();
        throw error;
      }
      const next = this.#insteadOf(this.#means);
      if (next === undefined) throw error;
      this.#forget();
      this.#means = next;
      return this.write(bytes);
    }
  }

  /** Call `writable` once when there is room again. Does not keep the event loop alive. */
  whenWritable(writable: () => void): void {
    if (this.#watch !== undefined) return;
    const fd = this.#means?.waitsFor ?? this.#fd;
    const ready = (): void => {
      this.#stopWatching();
      writable();
    };
    this.#watch = this.#posix.watch(fd, { writable: true }, ready);
    this.#watch.keepAlive(false);
  }

  /** Wait until there is room, at most this long; false when there is none by then. */
  waitWritable(timeoutMs: number): boolean {
    const fd = this.#means?.waitsFor ?? this.#fd;
    return this.#posix.waitReady(fd, { writable: true }, Math.ceil(timeoutMs)) !== undefined;
  }

  /** Wait at most this long until what was written has arrived; false when it has not. */
  waitWritten(timeoutMs: number): boolean {
    const means = this.#means;
    if (means?.isDeferred !== true) return true;
    this.#posix.shutdown(means.waitsFor, "write");
    const ready = this.#posix.waitReady(means.waitsFor, { readable: true }, Math.ceil(timeoutMs));
    this.#forget();
    return ready !== undefined;
  }

  /** Give up what waiting and deferring needed. What was written arrives, when it can. */
  close(): void {
    this.#forget();
  }

  #stopWatching(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  #forget(): void {
    this.#stopWatching();
    this.#means?.close();
    this.#means = undefined;
  }

  #choose(): Means {
    switch (this.#posix.descriptorKind(this.#fd)) {
      case "pipe":
      case "socket":
        return new Nonwaiting(this.#posix, this.#fd);
      case "file":
      case "directory":
      case "memory":
        return new Direct(this.#posix, this.#fd);
      case "device":
      case "other":
        return new Threaded(this.#posix, this.#fd);
    }
  }

  /** The next best means, where a kernel lacks one. */
  #insteadOf(means: Means): Means | undefined {
    if (means instanceof Threaded || means instanceof Direct) return undefined;
    const isPipe = this.#posix.descriptorKind(this.#fd) === "pipe";
    return isPipe && means instanceof Nonwaiting
      ? new Spliced(this.#posix, this.#fd)
      : new Threaded(this.#posix, this.#fd);
  }
}

class Direct implements Means {
  readonly isDeferred = false;
  readonly waitsFor: Fd;
  readonly #posix: Posix;

  constructor(posix: Posix, fd: Fd) {
    this.#posix = posix;
    this.waitsFor = fd;
  }

  write(bytes: Uint8Array): number | undefined {
    return this.#posix.write(this.waitsFor, bytes);
  }

  close(): void {}
}

class Nonwaiting implements Means {
  readonly isDeferred = false;
  readonly waitsFor: Fd;
  readonly #posix: Posix;

  constructor(posix: Posix, fd: Fd) {
    this.#posix = posix;
    this.waitsFor = fd;
  }

  write(bytes: Uint8Array): number | undefined {
    return this.#posix.writeNow(this.waitsFor, bytes);
  }

  close(): void {}
}

/** PIPE_BUF, and the least that an empty pipe takes. */
const PIECE_BYTES_MAX = 4096;

/** A piece goes into a pipe of our own first; what cannot be moved on is taken out again. */
class Spliced implements Means {
  readonly isDeferred = false;
  readonly waitsFor: Fd;
  readonly #posix: Posix;
  readonly #pipe: readonly [Fd, Fd];

  constructor(posix: Posix, fd: Fd) {
    this.#posix = posix;
    this.waitsFor = fd;
    this.#pipe = posix.pipe();
  }

  write(bytes: Uint8Array): number | undefined {
    const [from, into] = this.#pipe;
    const piece = bytes.subarray(0, PIECE_BYTES_MAX);
    this.#posix.write(into, piece);
    let moved: number | undefined;
    try {
      moved = this.#posix.splice(from, this.waitsFor, piece.length);
      return moved;
    } finally {
      const left = piece.length - (moved ?? 0);
      if (left > 0) this.#posix.read(from, new Uint8Array(left));
    }
  }

  close(): void {
    for (const fd of this.#pipe) this.#posix.close(fd);
  }
}

/** The thread reads records, and writes each of them in one piece. */
const RECORD_BYTES_MAX = 32 * 1024;

class Threaded implements Means {
  readonly isDeferred = true;
  readonly waitsFor: Fd;
  readonly #posix: Posix;

  constructor(posix: Posix, fd: Fd) {
    this.#posix = posix;
    const [ours, theirs] = posix.socketPair("seqpacket");
    this.waitsFor = ours;
    try {
      posix.copyInThread(theirs, fd);
    } catch (error) {
      posix.close(ours);
      posix.close(theirs);
      throw error;
    }
  }

  write(bytes: Uint8Array): number | undefined {
    return this.#posix.writeNow(this.waitsFor, bytes.subarray(0, RECORD_BYTES_MAX));
  }

  close(): void {
    this.#posix.close(this.waitsFor);
  }
}
