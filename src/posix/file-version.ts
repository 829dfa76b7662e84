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

/** What a path led to when somebody looked: a version, or an errno name. */
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

/** Are these the same file with the same content? */
export function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  return (
    a.mtimeNanoseconds === b.mtimeNanoseconds &&
    a.ctimeNanoseconds === b.ctimeNanoseconds &&
    a.inode === b.inode &&
    a.sizeBytes === b.sizeBytes &&
    a.mtimeSeconds === b.mtimeSeconds &&
    a.ctimeSeconds === b.ctimeSeconds &&
    a.device === b.device &&
    a.mode === b.mode
  );
}

/** By the time of the last change of state, which unlike the modification time nobody can set. */
function isRacy(posix: Pick<Posix, "realtimeNs">, version: FileVersion): boolean {
  const changed = BigInt(version.ctimeSeconds) * SECOND_NS + BigInt(version.ctimeNanoseconds);
  const age = posix.realtimeNs() - changed;
  return age > -RACY_NS && age < RACY_NS;
}
