/**
 * The rights of a client, from the environment of the rule that admits it (local-services.md, section 9.2).
 */

import type { EnvironmentEdit } from "../../net/index.ts";
import { encodeBytes } from "../../posix/index.ts";
import { PosixRegex, RegexError } from "../../regex/index.ts";
import type { HolderId } from "./held-table.ts";

/** The operations that a client may ask for. */
export interface HolderRights {
  /** Store and delete, and delete what it retrieves. */
  mayStore(id: HolderId): boolean;
  mayRetrieve(id: HolderId): boolean;
  readonly mayList: boolean;
  readonly mayGetDump: boolean;
  readonly maySetDump: boolean;
}

/** Expressions that have been compiled, for the rules of all clients. */
export class RegexCache {
  readonly #known = new Map<string, PosixRegex>();

  /** Throws RegexError. */
  get(source: string): PosixRegex {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const regex = new PosixRegex(source);
    if (this.#known.size >= CACHED_MAX) this.#known.clear();
    this.#known.set(source, regex);
    return regex;
  }
}

const CACHED_MAX = 256;

/**
 * The rights that these edits grant. A variable that is set grants, and one that is removed grants nothing; of
 * several expressions for one right the first counts; an empty one matches everything. Throws RegexError,
 * naming the variable, for an expression that is none.
 */
export function rightsOf(edits: readonly EnvironmentEdit[], regexes: RegexCache): HolderRights {
  const grants = (name: string): boolean =>
    edits.some((edit) => edit.name === `S6_FDHOLDER_${name}` && edit.value !== undefined);
  return {
    mayStore: matcher("S6_FDHOLDER_STORE_REGEX", edits, regexes),
    mayRetrieve: matcher("S6_FDHOLDER_RETRIEVE_REGEX", edits, regexes),
    mayList: grants("LIST"),
    mayGetDump: grants("GETDUMP"),
    maySetDump: grants("SETDUMP"),
  };
}

function matcher(
  variable: string,
  edits: readonly EnvironmentEdit[],
  regexes: RegexCache,
): (id: HolderId) => boolean {
  const edit = edits.find(({ name, value }) => name === variable && value !== undefined);
  if (edit?.value === undefined) return () => false;
  try {
    const regex = regexes.get(encodeBytes(edit.value).toString("latin1"));
    return (id) => regex.matches(id);
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw new RegexError(`${variable} is no regular expression: ${error.message}`, {
      cause: error,
    });
  }
}
