/** Expressions and texts at random, against the regcomp(3) and regexec(3) that the C suite uses. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PosixRegex, RegexError } from "../../src/regex/index.ts";
import { ROOT } from "../support/scene.ts";

/** The expressions that one run of the oracle answers for. */
const BATCH = 2000;

const PIECES = [
  ...Array.from("abc_-1:/."),
  ...Array.from("()|*+?{}[]^$.\\,\n "),
  ...["{2}", "{1,2}", "{,2}", "{1,}", "[a-c]", "[^a]", "[]a]", "[^]a]", "[[:alpha:]]", "[a-]"],
  ...["[[:digit:]-]", "\\.", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B", "\\<", "\\>", "\\`", "\\'"],
  ...["()", "(a|b)", "(^|a)", "(a|)", "\xe9", "[\xe0-\xff]", "[[=a=]]", "[[.-.]]", "[[.a.]-c]"],
];

const expression = fc
  .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 8 })
  .map((pieces) => pieces.join(""));
const subject = fc
  .array(fc.constantFrom(...Array.from("abc_-1 \n(].*{:|\xe9")), { maxLength: 7 })
  .map((characters) => characters.join(""));
const cases = fc.array(fc.tuple(expression, fc.array(subject, { minLength: 6, maxLength: 6 })), {
  minLength: BATCH,
  maxLength: BATCH,
});

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ucspi-regex-"));
  const source = join(ROOT, "test", "fixtures", "regex", "regexec.c");
  execFileSync("cc", ["-O1", "-o", join(folder, "regexec"), source]);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function hex(text: string): string {
  return Buffer.from(text, "latin1").toString("hex");
}

function ours([source, texts]: readonly [string, readonly string[]]): string {
  try {
    const regex = new PosixRegex(source);
    return texts.map((text) => (regex.matches(text) ? "1" : "0")).join("");
  } catch (error) {
    if (error instanceof RegexError) return "E";
    throw error;
  }
}

/** Expressions that we may refuse where the C library takes them: those with a copied place. */
const MAY_BE_REFUSED = /\^|\$|\\[bB<>`'1-9]|-/;

test("an expression that is accepted matches exactly what it matches in the C library", () => {
  fc.assert(
    fc.property(cases, (batch) => {
      const input = batch
        .map(([source, texts]) => [source, ...texts].map(hex).join(","))
        .join("\n");
      const output = execFileSync(join(folder, "regexec"), {
        input: `${input}\n`,
        encoding: "latin1",
        env: { LC_ALL: "C" },
      });
      const theirs = output.trimEnd().split("\n");
      const wrong = batch.filter((one, index) => {
        const answer = ours(one);
        if (answer === theirs[index]) return false;
        return answer !== "E" || !MAY_BE_REFUSED.test(one[0]);
      });
      expect(wrong).toEqual([]);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});
