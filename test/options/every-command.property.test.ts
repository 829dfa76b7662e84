/** Of the table of every command: from words to options and back. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { COMMAND_NAMES, isLink, loadDefinition } from "../../src/command/index.ts";
import type { Definition } from "../../src/command/index.ts";
import { parseOptions, UsageError, wordsOf } from "../../src/options/index.ts";
import { LIST_NAMES, NO_NUMBERS, NUMBER_NAMES, wordsFor } from "./sample-words.ts";

async function definitionOf(name: string): Promise<Definition> {
  const definition = await loadDefinition(name);
  if (definition === undefined) throw new Error(`${name} has no definition`);
  return definition;
}

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

describe("the words made of options", () => {
  test.each(COMMAND_NAMES)(
    "the words made of options parse to the same options again in %s",
    async (name) => {
      const definition = await definitionOf(name);
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
    },
  );
});

/** The options with an argument of one of these names. */
function optionsWith({ options }: Definition, names: ReadonlySet<string>): readonly string[] {
  const forms = Object.values(options).flatMap((option) => option.forms);
  const chosen = forms.filter(({ argument }) => argument !== undefined && names.has(argument));
  return chosen.map(({ short, long }) => (short === undefined ? `--${long}` : `-${short}`));
}

const DEFINITIONS = await Promise.all(COMMAND_NAMES.map(definitionOf));

/** The commands that have such options, and these. */
function commandsWith(names: ReadonlySet<string>) {
  return DEFINITIONS.map((definition) => ({
    name: definition.name,
    definition,
    options: optionsWith(definition, names),
  })).filter(({ options }) => options.length > 0);
}

describe("invalid numbers", () => {
  test.each(commandsWith(NUMBER_NAMES))(
    "the message of the usage error ends with the invalid value in $name",
    ({ definition, options }) => {
      for (const option of options) {
        for (const text of NO_NUMBERS) {
          const read = () => parse(definition, [option, text]);
          expect(read, `${option} ${text}`).toThrow(UsageError);
          expect(read, `${option} ${text}`).toThrow(`: ${text}`);
        }
      }
    },
  );
});

describe("lists with an empty element", () => {
  test.each(commandsWith(LIST_NAMES))(
    "the message of the usage error ends with the invalid value in $name",
    ({ definition, options }) => {
      for (const option of options) {
        for (const text of [",", ",,", "1,", ",1", "1,,2", "192.0.2.1,,192.0.2.2"]) {
          const read = () => parse(definition, [option, text]);
          expect(read, `${option} ${text}`).toThrow(UsageError);
          expect(read, `${option} ${text}`).toThrow(`: ${text}`);
        }
      }
    },
  );
});
