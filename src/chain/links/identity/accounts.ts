/** Accounts and groups by name, and the variables that hand their numbers on. */

import { rememberedNames } from "../../../posix/index.ts";
import type { Gid, Posix, Uid } from "../../../posix/index.ts";
import { parseUnsigned } from "../../../net/index.ts";

/** The variables in which s6-envuidgid hands numbers to s6-applyuidgid. */
export const UID = "UID";
export const GID = "GID";
export const GIDLIST = "GIDLIST";

/** A user with its groups. */
export interface FoundAccount {
  readonly uid: Uid;
  readonly gid: Gid;
  /** The groups that list the account, in database order. */
  readonly groups: readonly Gid[];
}

export function findAccount(posix: Posix, name: string): FoundAccount | undefined {
  const names = rememberedNames(posix);
  const account = names.account(name);
  if (account === undefined) return undefined;
  return { uid: account.uid, gid: account.gid, groups: names.groupsListing(name) };
}

/** The number of a user; with `isNumeric` also of one that is given as a number. */
export function findUid(posix: Posix, name: string, isNumeric: boolean): Uid | undefined {
  return rememberedNames(posix).account(name)?.uid ?? (isNumeric ? parseUnsigned(name) : undefined);
}

/** The number of a group; with `isNumeric` also of one that is given as a number. */
export function findGid(posix: Posix, name: string, isNumeric: boolean): Gid | undefined {
  return rememberedNames(posix).group(name)?.gid ?? (isNumeric ? parseUnsigned(name) : undefined);
}
