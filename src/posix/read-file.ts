/**
 * The one door through which files are read. An open file is checked before it is read: a fifo, a
 * socket, a device or a directory in the place of a file is refused, and never waited for. Nothing is
 * read beyond a ceiling.
 */

import type { FileVersion } from "./files.ts";
import { isSameVersion } from "./file-version.ts";
import type { Fd } from "./kernel.ts";
import type { Posix } from "./posix.ts";

/** The calls that reading takes. */
export type ReadingPosix = Pick<Posix, "open" | "close" | "read" | "openFileVersion">;

/** The calls that listing takes. */
export type ListingPosix = Pick<Posix, "open" | "close" | "readDirectory">;

export interface ReadOptions {
  /** The directory from which a relative path starts; the working directory unless given. */
  readonly at?: Fd | undefined;
  /** Take a fifo or a device too: what it has at once, for nothing is waited for. */
  readonly anyKind?: boolean;
  /** With `anyKind`: wait for what it has, which blocks the process. For what a user named. */
  readonly waits?: boolean;
}

/** The reason why a file is refused. */
export type Unfitness = "not a regular file" | "too long" | "changing";

/** The errno that says the same. */
const CODES = { "not a regular file": "EINVAL", "too long": "EFBIG", changing: "EBUSY" } as const;

/** A file, or a directory, that cannot be taken as what it should be. */
export class UnfitFile extends Error {
  override readonly name = "UnfitFile";
  readonly reason: Unfitness;
  /** An errno name, as SystemError has one. */
  readonly code: (typeof CODES)[Unfitness];

  constructor(reason: Unfitness, message: string) {
    super(message);
    this.reason = reason;
    this.code = CODES[reason];
  }
}

/** The number of times that a file that changed meanwhile is read again. */
const ATTEMPTS_MAX = 3;
/** The first room for a file that does not tell its size, as those of /proc. */
const ROOM_FIRST = 4096;
/** S_IFMT and S_IFREG of stat(2). */
const FILE_TYPE = 0o170000;
const REGULAR_FILE = 0o100000;
const DIRECTORY = 0o040000;

/**
 * A file, whole: what it held at one moment. Throws UnfitFile for one that is not regular, one longer
 * than `bytesMax` and one that goes on changing, and SystemError.
 */
export function readFile(
  posix: ReadingPosix,
  path: string,
  bytesMax: number,
  options: ReadOptions = {},
): Buffer {
  return withFile(posix, path, options, (fd, version) => readWhole(posix, fd, version, bytesMax));
}

/** The content of a file, at one moment if it is regular; of others, all that arrives. */
function readWhole(posix: ReadingPosix, fd: Fd, first: FileVersion, bytesMax: number): Buffer {
  const isRegular = (first.mode & FILE_TYPE) === REGULAR_FILE;
  if (isRegular && first.sizeBytes > bytesMax) throw tooLong(bytesMax);
  const bytes = readToEnd(posix, fd, isRegular ? first.sizeBytes : 0, bytesMax);
  if (isRegular && !isSameVersion(first, posix.openFileVersion(fd))) {
    throw new UnfitFile("changing", "it is being changed");
  }
  return bytes;
}

/**
 * The first `bytesMax` bytes of a file, or all it has. Throws UnfitFile for one that is not regular,
 * unless any kind will do, and SystemError.
 */
export function readHead(
  posix: ReadingPosix,
  path: string,
  bytesMax: number,
  options: ReadOptions = {},
): Buffer {
  return withFile(posix, path, options, (fd) => {
    const bytes = Buffer.alloc(bytesMax);
    return bytes.subarray(0, fill(posix, fd, bytes, 0));
  });
}

/**
 * The names in a directory, in the order of the file system, without `.` and `..`. Throws UnfitFile
 * when there are more than `entriesMax`, and SystemError.
 */
export function listNames(
  posix: ListingPosix,
  path: string,
  entriesMax: number,
  { at }: Pick<ReadOptions, "at"> = {},
): string[] {
  const fd = posix.open(path, "read", { directory: true, at });
  try {
    return namesIn(posix, fd, entriesMax);
  } finally {
    posix.close(fd);
  }
}

/** The names in a directory that is open and has not been listed before. Throws as listNames does. */
export function namesIn(
  posix: Pick<Posix, "readDirectory">,
  directory: Fd,
  entriesMax: number,
): string[] {
  const names: string[] = [];
  for (;;) {
    const entries = posix.readDirectory(directory);
    if (entries.length === 0) return names;
    for (const { name } of entries) names.push(name);
    if (names.length > entriesMax) {
      throw new UnfitFile("too long", `it has more than ${entriesMax} entries`);
    }
  }
}

function withFile<T>(
  posix: ReadingPosix,
  path: string,
  { at, anyKind = false, waits = false }: ReadOptions,
  use: (fd: Fd, version: FileVersion) => T,
): T {
  for (let attempt = 1; ; attempt++) {
    const fd = posix.open(path, "read", { nonblocking: !(anyKind && waits), at });
    try {
      const version = posix.openFileVersion(fd);
      if (!anyKind) requireRegular(posix, fd, version);
      return use(fd, version);
    } catch (error) {
      const isChanging = error instanceof UnfitFile && error.reason === "changing";
      if (!isChanging || attempt === ATTEMPTS_MAX) throw error;
    } finally {
      posix.close(fd);
    }
  }
}

/** Of a directory, read(2) itself says what it is (EISDIR). */
function requireRegular(posix: ReadingPosix, fd: Fd, { mode }: FileVersion): void {
  const type = mode & FILE_TYPE;
  if (type === DIRECTORY) posix.read(fd, new Uint8Array(1));
  if (type !== REGULAR_FILE) throw new UnfitFile("not a regular file", "it is not a regular file");
}

/** Everything up to the end, for which there is room for `sizeBytes` at first. */
function readToEnd(posix: ReadingPosix, fd: Fd, sizeBytes: number, bytesMax: number): Buffer {
  let bytes = Buffer.allocUnsafeSlow(sizeBytes === 0 ? ROOM_FIRST : sizeBytes);
  const more = new Uint8Array(1);
  for (let used = 0; ;) {
    used = fill(posix, fd, bytes, used);
    if (used < bytes.length || fill(posix, fd, more, 0) === 0) {
      if (used > bytesMax) throw tooLong(bytesMax);
      return bytes.subarray(0, used);
    }
    if (used >= bytesMax) throw tooLong(bytesMax);
    const larger = Buffer.allocUnsafeSlow(Math.min(2 * bytes.length, bytesMax));
    larger.set(bytes);
    larger.set(more, used);
    used += more.length;
    bytes = larger;
  }
}

/** Read until the room from `start` on is full or there is no more; how much of the room is used. */
function fill(posix: ReadingPosix, fd: Fd, room: Uint8Array, start: number): number {
  let used = start;
  while (used < room.length) {
    const count = posix.read(fd, room.subarray(used)) ?? 0;
    if (count === 0) break;
    used += count;
  }
  return used;
}

function tooLong(bytesMax: number): UnfitFile {
  return new UnfitFile("too long", `it is longer than ${bytesMax} bytes`);
}
