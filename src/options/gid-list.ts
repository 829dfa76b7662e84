/** Group lists, as options and the variable GIDLIST have them (networking.md, section 2). */

import type { Gid } from "../posix/index.ts";
import { parsedBy, UINT32_MAX } from "./argument.ts";
import type { ArgumentKind } from "./argument.ts";

/** The most supplementary groups that Linux gives to one process (NGROUPS_MAX). */
export const GID_LIST_MAX = 65_536;

/** A number with what separates it from the next: one of `,:;` amid white space, or white space alone. */
const ELEMENT = /([0-9]+)([ \t\r\n]*[,:;][ \t\r\n]*|[ \t\r\n]+|$)/y;
const MARK = /[,:;]/;

/**
 * A group list: decimals up to 2^32 - 1 with separators between them. Empty text is the empty list, and
 * white space at the end is ignored. Undefined for everything else, an empty element (`1,,2`, `1,`)
 * included, and for more than GID_LIST_MAX groups: a list that is not understood must not give fewer
 * groups than it names, or none.
 */
export function parseGidList(text: string): readonly Gid[] | undefined {
  const gids: Gid[] = [];
  let separator = "";
  for (ELEMENT.lastIndex = 0; ELEMENT.lastIndex < text.length;) {
    const [, digits = "", between = ""] = ELEMENT.exec(text) ?? [];
    const gid = Number(digits);
    if (digits === "" || gid > UINT32_MAX || gids.length === GID_LIST_MAX) return undefined;
    gids.push(gid);
    separator = between;
  }
  return MARK.test(separator) ? undefined : gids;
}

/** A group list as the argument of an option. */
export const gidList: ArgumentKind<readonly Gid[]> = parsedBy(
  parseGidList,
  "a list of numeric group ids",
  (gids) => gids.join(","),
);
