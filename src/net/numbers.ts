/**
 * The numbers of the suite's command lines and variables: unsigned decimals, ports and group lists.
 * Digits only and the whole text, so a sign, a blank, hexadecimal or an exponent is refused.
 */

import type { Gid } from "../posix/index.ts";

/** The largest unsigned number, uid or gid: 2^32 - 1. */
export const UNSIGNED_MAX = 0xffff_ffff;

export const PORT_MAX = 0xffff;

/** The most supplementary groups that Linux gives to one process (NGROUPS_MAX). */
export const GID_LIST_MAX = 65_536;

const DIGITS = /^[0-9]+$/;

/** The next number of a group list, with the separators before it. */
const NEXT_GID = /[,:; \t\r\n]*([0-9]+)/y;
const NOTHING_ELSE = /^[,:; \t\r\n]*$/;

/** An unsigned decimal of at most `max` (UNSIGNED_MAX unless given); leading zeros are fine. */
export function parseUnsigned(text: string, max = UNSIGNED_MAX): number | undefined {
  if (!DIGITS.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** A port, 0 to 65535; what 0 means is the caller's business. */
export function parsePort(text: string): number | undefined {
  return parseUnsigned(text, PORT_MAX);
}

/**
 * A group list, as in GIDLIST: decimals separated by runs of comma, colon, semicolon and white
 * space. As in the C suite the list ends without complaint at the first thing that is no number,
 * once one was read; undefined when not even the first is one. Empty text is the empty list.
 * Groups past GID_LIST_MAX are left out.
 */
export function parseGidList(text: string): Gid[] | undefined {
  if (NOTHING_ELSE.test(text)) return [];
  const gids: Gid[] = [];
  NEXT_GID.lastIndex = 0;
  while (gids.length < GID_LIST_MAX) {
    const gid = parseUnsigned(NEXT_GID.exec(text)?.[1] ?? "");
    if (gid === undefined) break;
    gids.push(gid);
  }
  return gids.length === 0 ? undefined : gids;
}
