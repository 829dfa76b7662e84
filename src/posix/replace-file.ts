/**
 * Replacing a file so that no reader ever sees half of it: a temporary file beside it is written, brought
 * to disk as asked, and renamed over it. Whatever fails, the temporary file goes and the old file stays.
 */

import { dirname } from "node:path";

import { errnoOf, type Fd } from "./kernel.ts";
import type { Posix } from "./posix.ts";
import { writeFullyAt } from "./write.ts";

/** The number of names that are tried before giving up. */
const NAMES_MAX = 10_000;
const OWNER_ONLY = 0o600;

/** The calls that replacing takes. */
export type ReplacingPosix = Pick<
  Posix,
  "open" | "close" | "writeAt" | "fsync" | "setMode" | "rename" | "unlink"
>;

export interface ReplaceOptions {
  /** The directory from which relative paths start; the working directory unless given. */
  readonly at?: Fd | undefined;
  /** The text between the file's name and a number in the name of the temporary file. */
  readonly tag?: string;
  /** The temporary file by name instead, which must not exist yet. */
  readonly temporary?: string | undefined;
  /** The permission bits the file is made with, less those of the umask; 0600 unless given. */
  readonly createMode?: number;
  /** The permission bits of the result, whatever the umask. */
  readonly mode?: number | undefined;
  /**
   * The part that is on disk before this returns: nothing, the content before the rename (so that a crash
   * leaves the old file or the new), or the rename too. All of it unless given.
   */
  readonly sync?: "nothing" | "content" | "all";
}

/** The place of the new content. */
export interface ReplacementSink {
  /** Write all of these bytes at a position. */
  write(bytes: Uint8Array, position: number): void;
}

/** A temporary file that was named could not be opened: which, and why. */
export class TemporaryFileError extends Error {
  override readonly name = "TemporaryFileError";
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`unable to write ${path}`, { cause });
    this.path = path;
  }
}

interface Temporary {
  readonly path: string;
  readonly fd: Fd;
}

/**
 * Replace `path` by what `write` puts into the sink. Throws what `write` throws, TemporaryFileError, and
 * SystemError when another call fails. Killed by a signal, it leaves the temporary file behind.
 */
export function replaceFile(
  posix: ReplacingPosix,
  path: string,
  options: ReplaceOptions,
  write: (sink: ReplacementSink) => void,
): void {
  const { at, sync = "all" } = options;
  const temporary = openTemporary(posix, path, options);
  try {
    fill(posix, temporary.fd, options, write);
    posix.rename(temporary.path, path, at, at);
  } catch (error) {
    removeQuietly(posix, temporary.path, at);
    throw error;
  }
  if (sync === "all") syncDirectory(posix, dirname(path), at);
}

function fill(
  posix: ReplacingPosix,
  fd: Fd,
  { mode, sync = "all" }: ReplaceOptions,
  write: (sink: ReplacementSink) => void,
): void {
  try {
    write({ write: (bytes, position) => writeFullyAt(posix, fd, bytes, position) });
    if (mode !== undefined) posix.setMode(fd, mode);
    if (sync !== "nothing") posix.fsync(fd);
  } finally {
    posix.close(fd);
  }
}

function openTemporary(posix: ReplacingPosix, path: string, options: ReplaceOptions): Temporary {
  const { at, tag = "tmp", temporary, createMode: create = OWNER_ONLY } = options;
  if (temporary !== undefined) {
    try {
      return {
        path: temporary,
        fd: posix.open(temporary, "write", { create, exclusive: true, at }),
      };
    } catch (error) {
      throw new TemporaryFileError(temporary, error);
    }
  }
  for (let number = 0; ; number += 1) {
    const candidate = `${path}:${tag}:${String(number).padStart(6, "0")}`;
    try {
      return {
        path: candidate,
        fd: posix.open(candidate, "write", { create, exclusive: true, at }),
      };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST" || number === NAMES_MAX) throw error;
    }
  }
}

/** The failure that led here is the one to report. */
function removeQuietly(posix: ReplacingPosix, path: string, at: Fd | undefined): void {
  try {
    posix.unlink(path, at);
  } catch (error) {
    // It may be gone, or its directory out of reach: nothing is left to do about it.
    if (errnoOf(error) === undefined) throw error;
  }
}

/** The new file is in place by now: a directory that cannot be read or synced is no failure. */
function syncDirectory(posix: ReplacingPosix, path: string, at: Fd | undefined): void {
  try {
    const fd = posix.open(path, "read", { directory: true, at });
    try {
      posix.fsync(fd);
    } finally {
      posix.close(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
