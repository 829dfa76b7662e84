/** Of the commands that write the command lines of others. */

import { basename } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLink } from "../../src/chain/index.ts";
import type { Link } from "../../src/chain/index.ts";
import { isLink, loadDefinition } from "../../src/command/index.ts";
import { UsageError } from "../../src/options/index.ts";
import { launchOf, newWorld } from "../chain/world.ts";
import { wordsFor } from "./sample-words.ts";

async function linkOf(name: string): Promise<Link> {
  const definition = await loadDefinition(name);
  if (definition === undefined || !isLink(definition)) throw new Error(`${name} is no link`);
  return definition;
}

/** The line that the wrapper makes of its words; undefined where it refuses them. */
async function rewritten(wrapper: Link, words: readonly string[]) {
  const line = [...words, "--", "127.0.0.1", "0", "cat"];
  const world = newWorld();
  try {
    const outcome = await wrapper.run(
      launchOf(line),
      parseLink(wrapper, line).words,
      world.context,
    );
    return outcome.kind === "continue" ? outcome.launch.argv : undefined;
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

describe("the words that a wrapper writes", () => {
  test.each(["s6-tcpserver", "s6-tlsserver", "s6-tlsclient"])(
    "the command behind %s parses the words that are written for it, down to the program",
    async (name) => {
      const wrapper = await linkOf(name);
      const withoutAccount = Object.fromEntries(
        Object.entries(wrapper.options).filter(([key]) => key !== "engineUser" && key !== "banner"),
      );
      await fc.assert(
        fc.asyncProperty(wordsFor(withoutAccount), async (words) => {
          const argv = await rewritten(wrapper, words);
          fc.pre(argv !== undefined);
          let rest = argv;
          while (rest[0]?.startsWith("/bin/of/ours/")) {
            const [command = "", ...line] = rest;
            rest = parseLink(await linkOf(basename(command)), line).words.program;
          }
          expect(rest).toEqual(["cat"]);
        }),
      );
    },
  );
});
