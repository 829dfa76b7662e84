/** The words of s6-ftrig-listen: a block of fifodirs and expressions, then a program. */

import { UsageError } from "../../options/index.ts";
import type { Wanted } from "./subscription.ts";

/** How execline marks the words of a block; an empty word ends it. */
const BLOCK_MARK = " ";

export interface WantedBlock {
  readonly wanted: readonly Wanted[];
  readonly program: readonly string[];
}

/** Split the words at the end of the block. Throws UsageError. */
export function splitWantedBlock(words: readonly string[]): WantedBlock {
  const end = words.indexOf("");
  if (end < 0)
    throw new UsageError(
      "the block of fifodirs and expressions has no end: an empty word, which execline writes }",
      true,
    );
  const program = words.slice(end + 1);
  const wanted = pairs(words.slice(0, end).map(unmarked));
  if (wanted.length === 0) throw new UsageError("the block has no fifodir", true);
  if ((program[0] ?? "") === "") throw new UsageError("missing operand: prog", true);
  return { wanted, program };
}

function unmarked(word: string): string {
  return word.startsWith(BLOCK_MARK) ? word.slice(BLOCK_MARK.length) : word;
}

function pairs(words: readonly string[]): Wanted[] {
  const found: Wanted[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const [path = "", regex] = words.slice(at, at + 2);
    if (regex === undefined) throw new UsageError(`no expression for fifodir ${path}`, true);
    found.push({ fifodir: { path }, regex });
  }
  return found;
}
