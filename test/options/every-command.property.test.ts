/** Of the table of every command: from words to options and back. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COMMAND_NAMES, isLink, loadDefinition } from "../../src/command/index.ts";
import type { Definition } from "../../src/command/index.ts";
import { parseOptions, UsageError, wordsOf } from "../../src/options/index.ts";
import { wordsFor } from "./sample-words.ts";

function parse(definition: Definition, words: readonly string[]) {
  return parseOptions({ ...definition, explains: isLink(definition) }, words);
}

/** The options that the words stand for; undefined where one contradicts another. */
function understood(definition: Definition, words: readonly string[]) {
  try {
    return parse(definition, words).options;
  } catch (error) {
    if (error instanceof UsageError && error.message.includes("oldest version")) return undefined;
    throw error;
  }
}

describe("the words made of options are understood as these options again", () => {
  test.each(COMMAND_NAMES)("by %s", async (name) => {
    const definition = await loadDefinition(name);
    if (definition === undefined) throw new Error(`${name} has no definition`);
    const { options: table } = definition;
    fc.assert(
      fc.property(wordsFor(table), (words) => {
        const options = understood(definition, words);
        fc.pre(options !== undefined);
        const made = wordsOf(table, options);
        expect(parse(definition, [...made, "--", "operand"])).toEqual({
          options,
          operands: ["operand"],
          builtin: undefined,
        });
      }),
    );
  });
});
