/**
 * Reading key material, and remembering which version of which file was read, so that a later look
 * tells whether to read again. A look is one stat(2) for each file or directory.
 */

import { errnoOf, listNames, lookAt, readFile, stillHolds, UnfitFile } from "../../posix/index.ts";
import type { ListingPosix, Look, LookingPosix, Posix, ReadingPosix } from "../../posix/index.ts";
import { MaterialProblem } from "./material-error.ts";

/** More than any key, chain or bundle in use. */
export const MATERIAL_FILE_BYTES_MAX = 1 << 20;
/** More than any directory of authorities in use has entries. */
export const CADIR_ENTRIES_MAX = 4096;

/** So many files of a directory are checked as often as the others. */
const FEW_MEMBERS = 16;

/** The system calls that reading takes. */
export type MaterialPosix = LookingPosix & ReadingPosix & ListingPosix & Pick<Posix, "strerror">;

interface Seen {
  readonly path: string;
  readonly look: Look;
  /** One of the files of a directory, which are not checked as often where they are many. */
  readonly isMember: boolean;
}

/** The files of one attempt to load something. */
export class MaterialFiles {
  readonly posix: MaterialPosix;
  readonly #seen: Seen[] = [];

  constructor(posix: MaterialPosix) {
    this.posix = posix;
  }

  /**
   * A regular file, whole. Throws MaterialProblem for any other and for one longer than
   * MATERIAL_FILE_BYTES_MAX, and SystemError.
   */
  read(path: string, { isMember = false }: { readonly isMember?: boolean } = {}): Buffer {
    this.#note(path, isMember);
    return fitting(() => readFile(this.posix, path, MATERIAL_FILE_BYTES_MAX));
  }

  /**
   * The names in a directory, sorted. Throws MaterialProblem when there are more than
   * CADIR_ENTRIES_MAX, and SystemError.
   */
  list(path: string): string[] {
    this.#note(path, false);
    return fitting(() => listNames(this.posix, path, CADIR_ENTRIES_MAX)).toSorted();
  }

  /**
   * Has any file changed since it was read, or may it have without showing it? With the files of a directory,
   * which are checked in any case where they are few.
   */
  hasChanged({ withMembers: withMany }: { readonly withMembers: boolean }): boolean {
    const withMembers =
      withMany || this.#seen.filter(({ isMember }) => isMember).length <= FEW_MEMBERS;
    return this.#seen.some(
      ({ path, look, isMember }) =>
        look.isRacy ||
        ((withMembers || !isMember) && !stillHolds(look, this.posix.fileVersion(path))),
    );
  }

  /** All the versions in one text. */
  get versions(): string {
    return this.#seen.map(({ path, look }) => `${path}\0${format(look)}`).join("\0");
  }

  /** Before the file is read, so that a change meanwhile is seen at the next look. */
  #note(path: string, isMember: boolean): void {
    this.#seen.push({ path, look: lookAt(this.posix, path), isMember });
  }
}

function format({ version }: Look): string {
  return typeof version === "string" ? version : Object.values(version).join(" ");
}

/** The result of reading, or why what is there is no material. */
function fitting<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === "EISDIR") throw new MaterialProblem("it is not a regular file");
    throw error instanceof UnfitFile ? new MaterialProblem(error.message) : error;
  }
}
