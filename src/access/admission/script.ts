/** The scripts of rules as words of a chain. */

import { decodeBytes } from "../../posix/index.ts";

/** The number of scripts that are remembered; each has at most 4096 bytes. */
const SCRIPTS_MAX = 256;

const SCRIPTS = new Map<string, readonly string[]>();

/**
 * The words that run a script. The same script gives the same array for as long as fewer than 256
 * others are used: compiled chains are remembered by the array of their words.
 */
export function scriptWords(script: Uint8Array): readonly string[] {
  const text = decodeBytes(script);
  const known = SCRIPTS.get(text);
  if (known !== undefined) return known;
  const words = ["execlineb", "-c", text];
  if (SCRIPTS.size >= SCRIPTS_MAX) SCRIPTS.clear();
  SCRIPTS.set(text, words);
  return words;
}
