/** The part of the kernel that rules are read through. */

import type { FileVersion, ListingPosix, LookingPosix } from "../../posix/index.ts";
import type { Posix, ReadingPosix } from "../../posix/index.ts";

export type RulesPosix = ReadingPosix &
  ListingPosix &
  LookingPosix &
  Pick<Posix, "readable" | "linkVersion">;

/** More than any directory of rules has entries. */
export const RULES_ENTRIES_MAX = 1_000_000;

/** S_IFMT of stat(2) and three of its values. */
const FILE_TYPE = 0o170000;
const TYPES = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const;

/** Is this, which may be an errno name instead, a file of that type? */
export function isOfType(version: FileVersion | string, type: keyof typeof TYPES): boolean {
  return typeof version !== "string" && (version.mode & FILE_TYPE) === TYPES[type];
}
