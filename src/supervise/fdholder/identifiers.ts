/** Identifiers as users type and see them, whose bytes the protocol carries as they are. */

import { decodeBytes, encodeBytes } from "../../posix/index.ts";
import type { HolderId } from "./held-table.ts";

/** The identifier that a word of a command line or the value of a variable stands for. */
export function holderIdOf(word: string): HolderId {
  return encodeBytes(word).toString("latin1");
}

/** The word that stands for an identifier. */
export function wordOfHolderId(id: HolderId): string {
  return decodeBytes(Buffer.from(id, "latin1"));
}

/** The letters of the control characters from BEL on. */
const LETTERS = "abtnvfr";

/**
 * An identifier in printable ASCII, as s6-fdholder-list prints it: a backslash is doubled, control characters are
 * `\n` and the like, other bytes that are not printable `\0xHH` (local-services.md, section 9.5).
 */
export function quoteHolderId(id: HolderId): string {
  return id.replaceAll(/[^ -[\]-~]/g, (character) => {
    const byte = character.charCodeAt(0);
    if (character === "\\") return "\\\\";
    if (byte >= 7 && byte <= 13) return `\\${LETTERS[byte - 7]}`;
    return `\\0x${byte.toString(16).padStart(2, "0")}`;
  });
}
