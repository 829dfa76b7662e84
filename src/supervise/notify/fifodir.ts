/**
 * Fifodirs: directories in which each listener has a fifo, and to which notifiers write events, one byte each
 * (supervision.md, section 3). Whoever notifies never waits, whatever listeners do: a fifo that is full
 * misses the events, and nothing is written to what is no fifo.
 */

import { SystemError } from "../../posix/index.ts";
import type { DirectoryEntry, Fd, Gid, Posix } from "../../posix/index.ts";
import { isFifoName, isTemporaryName } from "./names.ts";

/** A fifodir by its path. It is looked up for every call, so one that was replaced is found. */
export interface Fifodir {
  readonly path: string;
  /** The directory from which a relative path starts; the working directory unless given. */
  readonly at?: Fd | undefined;
}

/** Events that are written at once, up to this number of bytes (PIPE_BUF), arrive together or not at all. */
export const ATOMIC_EVENTS_MAX = 4096;

/** What has become of events. */
export interface Notified {
  /** The listeners that have them. */
  readonly told: number;
  /**
   * The listeners that miss them, or some of more than ATOMIC_EVENTS_MAX: their fifos are full, or closed to us.
   * Any user who may subscribe can have such a fifo, so it is no error.
   */
  readonly missed: number;
  /** The shortage of ours (of descriptors, of memory) for which some listeners could not be told. */
  readonly problem: SystemError | undefined;
}

const SHORTAGES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

const TYPE_BITS = 0o170000;
const FIFO_TYPE = 0o010000;

/** S_ISVTX and 0733: others may add fifos, but neither list them nor remove those of others. */
const PUBLIC_MODE = 0o1733;
/** S_ISGID too: fifos have the group of the directory. */
const GROUP_MODE = 0o3730;

/** A temporary name is its listener's for so long: it takes a fraction of a millisecond. */
const TEMPORARY_MS_MAX = 60_000;
const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;

export interface MakeOptions {
  /** The group that may listen; everybody may unless given. */
  readonly gid?: Gid | undefined;
  /** Give a directory that is there the group and the mode too. */
  readonly force?: boolean;
}

/**
 * Make a fifodir. A directory of ours that is there already is left as it is, unless it is forced. Throws SystemError: EACCES
 * for a directory of somebody else, ENOTDIR for what is none. Nothing is left of one that cannot be made.
 */
export function makeFifodir(
  posix: Posix,
  { path, at }: Fifodir,
  { gid, force = false }: MakeOptions = {},
): void {
  const isNew = tryMkdir(posix, path, at);
  try {
    const fd = posix.open(path, "read", { directory: true, noFollow: isNew, at });
    try {
      if (!isNew && posix.openFileVersion(fd).uid !== posix.geteuid()) {
        throw refusal(posix, "EACCES");
      }
      if (!isNew && !force) return;
      if (gid !== undefined) posix.setOwner(fd, { gid });
      posix.setMode(fd, gid === undefined ? PUBLIC_MODE : GROUP_MODE);
    } finally {
      posix.close(fd);
    }
  } catch (error) {
    if (isNew) posix.rmdir(path, at);
    throw error;
  }
}

/**
 * Write events to all listeners, without ever waiting. Fifos without a reader are removed: their listeners are
 * dead. Throws SystemError where the directory cannot be read.
 */
export function notify(posix: Posix, fifodir: Fifodir, events: Uint8Array): Notified {
  const counts = { told: 0, missed: 0 };
  let problem: SystemError | undefined;
  forEachEntry(posix, fifodir, (entry, directory) => {
    if (!isFifoName(entry.name)) return;
    try {
      const outcome = tell(posix, entry, directory, events);
      if (outcome !== "gone") counts[outcome] += 1;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (SHORTAGES.has(error.code)) problem ??= error;
      else if (error.syscall !== "unlink") counts.missed += 1;
    }
  });
  return { ...counts, problem };
}

/**
 * Remove the fifos of listeners that are dead, which have no reader; one with a temporary name after a minute, for it
 * may be about to get its reader. Throws SystemError where the directory cannot be read, and in the end the first
 * error of those that could not be examined or removed.
 */
export function cleanFifodir(posix: Posix, fifodir: Fifodir): void {
  const startedNs = posix.realtimeNs();
  let problem: SystemError | undefined;
  forEachEntry(posix, fifodir, (entry, directory) => {
    try {
      const fd = isDue(posix, entry.name, directory, startedNs)
        ? openFifo(posix, entry, directory)
        : undefined;
      if (fd !== undefined) posix.close(fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      problem ??= error;
    }
  });
  if (problem !== undefined) throw problem;
}

function tryMkdir(posix: Posix, path: string, at: Fd | undefined): boolean {
  try {
    posix.mkdir(path, 0o700, at);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EEXIST") return false;
    throw error;
  }
}

/** An error that no call has had. */
function refusal(posix: Posix, code: "EACCES"): SystemError {
  const EACCES = 13;
  return new SystemError(code, EACCES, "open", posix.strerror(code));
}

function forEachEntry(
  posix: Posix,
  { path, at }: Fifodir,
  take: (entry: DirectoryEntry, directory: Fd) => void,
): void {
  const directory = posix.open(path, "read", { directory: true, at });
  try {
    for (;;) {
      const entries = posix.readDirectory(directory);
      if (entries.length === 0) return;
      for (const entry of entries) take(entry, directory);
    }
  } finally {
    posix.close(directory);
  }
}

function tell(
  posix: Posix,
  entry: DirectoryEntry,
  directory: Fd,
  events: Uint8Array,
): "told" | "missed" | "gone" {
  const fd = openFifo(posix, entry, directory);
  if (fd === undefined) return "gone";
  try {
    return posix.write(fd, events) === events.length ? "told" : "missed";
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EPIPE") throw error;
    remove(posix, entry.name, directory);
    return "gone";
  } finally {
    posix.close(fd);
  }
}

/** A fifo to write to; undefined for one without a reader, which is removed, and for what is no fifo. */
function openFifo(posix: Posix, { name, kind }: DirectoryEntry, directory: Fd): Fd | undefined {
  if (kind !== "fifo" && kind !== "unknown") return undefined;
  let fd: Fd;
  try {
    fd = posix.open(name, "write", { nonblocking: true, noFollow: true, at: directory });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "ENXIO") remove(posix, name, directory);
    else if (error.code !== "ENOENT" && error.code !== "ELOOP") throw error;
    return undefined;
  }
  if ((posix.openFileVersion(fd).mode & TYPE_BITS) === FIFO_TYPE) return fd;
  posix.close(fd); // it has taken the place of the fifo since the directory was read
  return undefined;
}

/** Others may do the same at the same time. */
function remove(posix: Posix, name: string, directory: Fd): void {
  try {
    posix.unlink(name, directory);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
  }
}

function isDue(posix: Posix, name: string, directory: Fd, nowNs: bigint): boolean {
  return isFifoName(name) || (isTemporaryName(name) && isOld(posix, name, directory, nowNs));
}

function isOld(posix: Posix, name: string, directory: Fd, nowNs: bigint): boolean {
  const version = posix.linkVersion(name, directory);
  if (typeof version === "string") return false;
  const changedNs = BigInt(version.ctimeSeconds) * NS_PER_SECOND + BigInt(version.ctimeNanoseconds);
  return nowNs - changedNs >= BigInt(TEMPORARY_MS_MAX) * NS_PER_MS;
}
