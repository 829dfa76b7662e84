/**
 * Replacing a file so that nobody ever sees half of it: a temporary file beside it is written, brought
 * to disk and renamed over it. Whatever fails, the temporary file goes and the old file stays.
 */

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../../posix/index.ts";
import { attempt } from "../lookup/problem.ts";
import { pathBytes } from "./read-file.ts";

import type { CdbSink } from "./writer.ts";

/** How many names are tried before the directory is taken to be littered beyond use. */
const NAMES_MAX = 10_000;
const OWNER_ONLY = 0o600;

export interface ReplaceOptions {
  /** What stands between the file's name and a number in the name of the temporary file. */
  readonly tag?: string;
  /** The temporary file by name instead; what it held is lost. */
  readonly temporary?: string | undefined;
  /** The permission bits the file is made with, less those of the umask; 0600 unless given. */
  readonly createMode?: number;
  /** The permission bits of the result, whatever the umask. */
  readonly mode?: number | undefined;
}

interface Temporary {
  readonly path: string;
  readonly fd: number;
}

/**
 * Replace `path` by what `write` puts into the sink. Throws what `write` throws, RulesProblem when the
 * temporary file that was named cannot be opened, and Node's error when another system call fails.
 * Killed by a signal, it leaves the temporary file behind.
 */
export function replaceFile(
  path: string,
  options: ReplaceOptions,
  write: (sink: CdbSink) => void,
): void {
  const temporary = openTemporary(path, options);
  try {
    fill(temporary.fd, options.mode, write);
    renameSync(pathBytes(temporary.path), pathBytes(path));
  } catch (error) {
    removeQuietly(temporary.path);
    throw error;
  }
  syncDirectory(dirname(path));
}

function fill(fd: number, mode: number | undefined, write: (sink: CdbSink) => void): void {
  try {
    write({ write: (bytes, position) => writeFully(fd, bytes, position) });
    if (mode !== undefined) fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function openTemporary(path: string, options: ReplaceOptions): Temporary {
  const { tag = "tmp", temporary, createMode = OWNER_ONLY } = options;
  if (temporary !== undefined) {
    const open = (): number => openSync(pathBytes(temporary), "w", createMode);
    return { path: temporary, fd: attempt(`write ${temporary}`, open) };
  }
  for (let number = 0; ; number += 1) {
    const candidate = `${path}:${tag}:${String(number).padStart(6, "0")}`;
    try {
      return { path: candidate, fd: openSync(pathBytes(candidate), "wx", createMode) };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST" || number === NAMES_MAX) throw error;
    }
  }
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** The failure that led here is the one to report. */
function removeQuietly(path: string): void {
  try {
    unlinkSync(pathBytes(path));
  } catch {
    // It may be gone, or its directory out of reach: nothing is left to do about it.
  }
}

/** The new file is in place by now: a directory that cannot be read or synced is no failure. */
function syncDirectory(path: string): void {
  try {
    const fd = openSync(pathBytes(path), "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
