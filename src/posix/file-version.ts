/**
 * Has a file changed since it was read? Its version tells, with one exception: the time stamps of a
 * file system advance in steps, so that what was changed just before it was read may change again and
 * look the same.
 */

import type { FileVersion } from "./files.ts";
import type { Fd } from "./kernel.ts";
import type { Posix } from "./posix.ts";

/** Longer than any step of the time stamps of Linux (4 to 10 ms). */
const RACY_NS = 50_000_000n;
const SECOND_NS = 1_000_000_000n;

/** The calls that looking takes. */
export type LookingPosix = Pick<Posix, "fileVersion" | "realtimeNs">;

/** The file at a path when it was examined: a version, or an errno name. */
export interface Look {
  readonly version: FileVersion | string;
  /** May it have changed since without showing it? */
  readonly isRacy: boolean;
}

/** Look at a path. To be done before the file is read, so that a change meanwhile shows later. */
export function lookAt(posix: LookingPosix, path: string, at?: Fd): Look {
  const version = posix.fileVersion(path, at);
  return { version, isRacy: typeof version !== "string" && isRacy(posix, version) };
}

/** Does a look taken earlier still tell all, now that the path leads to `version`? */
export function stillHolds(
  { version: before, isRacy }: Look,
  version: FileVersion | string,
): boolean {
  if (isRacy) return false;
  if (typeof before === "string" || typeof version === "string") return before === version;
  return isSameVersion(before, version);
}

/** A value made of some files, made again when one of them has changed. */
export class MadeOfFiles<T> {
  readonly #posix: LookingPosix;
  readonly #paths: readonly string[];
  readonly #make: () => T;
  #made: { readonly value: T; readonly looks: readonly Look[] } | undefined;

  /** No file is examined before `current`. What `make` throws is thrown there, and tried again. */
  constructor(posix: LookingPosix, paths: readonly string[], make: () => T) {
    this.#posix = posix;
    this.#paths = paths;
    this.#make = make;
  }

  /** Make it anew the next time. */
  forget(): void {
    this.#made = undefined;
  }

  /** The value for the files as they are now: one stat(2) for each of them. */
  current(): T {
    const made = this.#made;
    if (
      made !== undefined &&
      this.#paths.every((path, index) => this.#holds(path, made.looks[index]))
    ) {
      return made.value;
    }
    this.#made = undefined;
    const looks = this.#paths.map((path) => lookAt(this.#posix, path));
    const value = this.#make();
    this.#made = { value, looks };
    return value;
  }

  #holds(path: string, look: Look | undefined): boolean {
    return look !== undefined && stillHolds(look, this.#posix.fileVersion(path));
  }
}

/**
 * What `make` makes of some files, for all who work with the same kernel: a function that gives the value
 * for the files as they are now, as MadeOfFiles does.
 */
export function rememberedOf<P extends LookingPosix, T>(
  paths: readonly string[],
  make: (posix: P) => T,
): (posix: P) => T {
  const remembered = new WeakMap<P, MadeOfFiles<T>>();
  return (posix) => {
    const known = remembered.get(posix) ?? new MadeOfFiles(posix, paths, () => make(posix));
    remembered.set(posix, known);
    return known.current();
  };
}

/** Are these the same file with the same content? */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  return (
    a.mtimeNanoseconds === b.mtimeNanoseconds &&
    a.ctimeNanoseconds === b.ctimeNanoseconds &&
    a.uid === b.uid &&
    a.inode === b.inode &&
    a.sizeBytes === b.sizeBytes &&
    a.mtimeSeconds === b.mtimeSeconds &&
    a.ctimeSeconds === b.ctimeSeconds &&
    a.device === b.device &&
    a.mode === b.mode
  );
}

/** By the time of the last change of state, which unlike the modification time cannot be set. */
function isRacy(posix: Pick<Posix, "realtimeNs">, version: FileVersion): boolean {
  const changed = BigInt(version.ctimeSeconds) * SECOND_NS + BigInt(version.ctimeNanoseconds);
  const age = posix.realtimeNs() - changed;
  return age > -RACY_NS && age < RACY_NS;
}
