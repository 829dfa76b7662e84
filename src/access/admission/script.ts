/** The scripts of rules as words of a chain. */

import { decodeBytes } from "../../posix/index.ts";

/** The number of scripts that are remembered; each has at most 4096 bytes. */
const SCRIPTS_MAX = 256;

const SCRIPTS = new Map<string, readonly string[]>();

/** The options of execlineb: those of servers on IP sockets, and those of servers on Unix sockets. */
export type ScriptOptions = "-c" | "-Pc";

/**
 * The words that run a script. The same script gives the same array for as long as fewer than 256
 * others are used: compiled chains are remembered by the array of their words.
 */
export function scriptWords(script: Uint8Array, options: ScriptOptions = "-c"): readonly string[] {
  const words = ["execlineb", options, decodeBytes(script)];
  const key = words.join(" ");
  const known = SCRIPTS.get(key);
  if (known !== undefined) return known;
  if (SCRIPTS.size >= SCRIPTS_MAX) SCRIPTS.clear();
  SCRIPTS.set(key, words);
  return words;
}
