/**
 * Reading key material, and remembering which version of which file was read, so that a later look
 * tells whether to read again. A look is one stat(2) for each file or directory.
 */

import { closeSync, constants, openSync, opendirSync, readSync } from "node:fs";
import { encodeBytes } from "../../posix/index.ts";
import type { FileVersion, Posix } from "../../posix/index.ts";
import { MaterialProblem } from "./material-error.ts";

/** More than any key, chain or bundle in use. */
export const MATERIAL_FILE_BYTES_MAX = 1 << 20;
/** More than any directory of authorities in use has entries. */
export const CADIR_ENTRIES_MAX = 4096;

/** S_IFMT and S_IFREG of stat(2). */
const FILE_TYPE = 0o170000;
const REGULAR_FILE = 0o100000;

const SECOND_NS = 1_000_000_000n;
/** Time stamps of files advance in steps: what changed so shortly ago may change again unseen. */
const RACY_NS = 50_000_000n;

/** The system calls that reading takes. */
export type MaterialPosix = Pick<Posix, "fileVersion" | "realtimeNs" | "strerror">;

interface Seen {
  readonly path: string;
  readonly version: string;
  /** One of the many files of a directory, which are not looked at as often. */
  readonly isMember: boolean;
}

/** The files of one attempt to load something. */
export class MaterialFiles {
  readonly posix: MaterialPosix;
  readonly #seen: Seen[] = [];
  #isSettled = true;

  constructor(posix: MaterialPosix) {
    this.posix = posix;
  }

  /**
   * A regular file, whole. Throws MaterialProblem for any other and for one longer than
   * MATERIAL_FILE_BYTES_MAX, and Node's error where a system call fails.
   */
  read(path: string, { isMember = false }: { readonly isMember?: boolean } = {}): Buffer {
    const version = this.#note(path, isMember);
    if (typeof version !== "string" && (version.mode & FILE_TYPE) !== REGULAR_FILE) {
      throw new MaterialProblem("it is not a regular file");
    }
    return readWhole(path);
  }

  /**
   * The names in a directory, sorted. Throws MaterialProblem when there are more than
   * CADIR_ENTRIES_MAX, and Node's error where a system call fails.
   */
  list(path: string): string[] {
    this.#note(path, false);
    return listNames(path);
  }

  /** Has any file changed since it was read, or may it have without showing it? */
  hasChanged({ withMembers }: { readonly withMembers: boolean }): boolean {
    if (!this.#isSettled) return true;
    return this.#seen.some(
      ({ path, version, isMember }) =>
        (withMembers || !isMember) && format(this.posix.fileVersion(path)) !== version,
    );
  }

  /** All the versions in one text. */
  get versions(): string {
    return this.#seen.map(({ path, version }) => `${path}\0${version}`).join("\0");
  }

  /** Before the file is read, so that a change meanwhile is seen at the next look. */
  #note(path: string, isMember: boolean): FileVersion | string {
    const version = this.posix.fileVersion(path);
    this.#seen.push({ path, version: format(version), isMember });
    if (typeof version !== "string" && this.#isRacy(version)) this.#isSettled = false;
    return version;
  }

  #isRacy(version: FileVersion): boolean {
    const changed = BigInt(version.ctimeSeconds) * SECOND_NS + BigInt(version.ctimeNanoseconds);
    const age = this.posix.realtimeNs() - changed;
    return age > -RACY_NS && age < RACY_NS;
  }
}

function format(version: FileVersion | string): string {
  return typeof version === "string" ? version : Object.values(version).join(" ");
}

/** Not blocking, should the path have become a fifo since it was looked at. */
function readWhole(path: string): Buffer {
  const fd = openSync(encodeBytes(path), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.allocUnsafe(MATERIAL_FILE_BYTES_MAX + 1);
    let used = 0;
    for (let count = -1; count !== 0 && used < bytes.length; used += count) {
      count = readSync(fd, bytes, used, bytes.length - used, null);
    }
    if (used > MATERIAL_FILE_BYTES_MAX) {
      throw new MaterialProblem(`it is longer than ${MATERIAL_FILE_BYTES_MAX} bytes`);
    }
    return Buffer.from(bytes.subarray(0, used));
  } finally {
    closeSync(fd);
  }
}

function listNames(path: string): string[] {
  const directory = opendirSync(encodeBytes(path));
  try {
    const names: string[] = [];
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      if (names.length === CADIR_ENTRIES_MAX) {
        throw new MaterialProblem(`it has more than ${CADIR_ENTRIES_MAX} entries`);
      }
      names.push(entry.name);
    }
    return names.toSorted();
  } finally {
    directory.closeSync();
  }
}
