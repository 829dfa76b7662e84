/** The part of the kernel that rules are read through. */

import type { ListingPosix, LookingPosix, Posix, ReadingPosix } from "../../posix/index.ts";

export type RulesPosix = ReadingPosix & ListingPosix & LookingPosix & Pick<Posix, "readable">;

/** More than any directory of rules has entries. */
export const RULES_ENTRIES_MAX = 1_000_000;
