/** Everything that cites the specification in docs/specification cites something that is there. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT } from "../support/scene.ts";
import { filesBelow } from "./source-tree.ts";

const SPECIFICATION = join("docs", "specification");

/** A part of the specification: the numbers of its sections, and of the rows in the tables of each. */
interface Part {
  readonly sections: ReadonlySet<string>;
  /** `22/33` for row 33 of a table in section 22, `16.1/2` and `16/2` for row 2 in section 16.1. */
  readonly items: ReadonlySet<string>;
}

function readPart(file: string): Part {
  const sections = new Set<string>();
  const items = new Set<string>();
  let section = "";
  for (const line of readFileSync(join(ROOT, SPECIFICATION, file), "utf8").split("\n")) {
    section = /^#{2,3} ([0-9]+(?:\.[0-9]+)?)\b/.exec(line)?.[1] ?? section;
    sections.add(section);
    const row = /^\| *([0-9]+) *\|/.exec(line)?.[1];
    if (row === undefined) continue;
    items.add(`${section}/${row}`).add(`${section.replace(/\..*/, "")}/${row}`);
  }
  return { sections, items };
}

const PARTS: ReadonlyMap<string, Part> = new Map(
  readdirSync(join(ROOT, SPECIFICATION))
    .filter((file) => file !== "README.md")
    .map((file) => [file, readPart(file)]),
);

const NUMBER = String.raw`[0-9]+(?:\.[0-9]+)?`;
const LIST = String.raw`${NUMBER}(?:(?:, (?:and )?| and | to )${NUMBER})*`;
const NAMES = [...PARTS.keys()].map((name) => name.replace(".", String.raw`\.`)).join("|");
const CITATION = new RegExp(
  String.raw`\b(?<file>${NAMES}),? (?:sections? )?(?<sections>${LIST})(?:, items? (?<items>${LIST}))?`,
  "g",
);
/** Every mention of a part, but for links to its file and mentions of the file as a whole. */
const MENTION = new RegExp(
  String.raw`(?<![/\w-])(?:${NAMES})(?! *\))(?=[,;.]? *(?:section|[0-9]))`,
  "g",
);

/** `7, 11 to 13, 20` is 7, 11, 12, 13 and 20; `14.1 to 14.3` is its two ends. */
function numbersOf(list: string): string[] {
  return list.split(/, (?:and )?| and /).flatMap((part) => {
    const [first = "", last] = part.split(" to ");
    if (last === undefined || first.includes("."))
      return last === undefined ? [first] : [first, last];
    const length = Number(last) - Number(first) + 1;
    return Array.from({ length }, (_, index) => String(Number(first) + index));
  });
}

interface Text {
  readonly path: string;
  /** On one line, without the marks of comments. */
  readonly text: string;
}

function readText(path: string): Text {
  const text = readFileSync(join(ROOT, path), "utf8").replaceAll(/\n[ \t]*(?:\*|\/\/)? */g, " ");
  return { path, text };
}

const texts: readonly Text[] = [
  ...["src", "test", "bench", "scripts", "docs", "examples"].flatMap((folder) =>
    [".ts", ".mjs", ".md", ".c", ".h", ".sh"].flatMap((extension) => filesBelow(folder, extension)),
  ),
  ...readdirSync(ROOT).filter((name) => name.endsWith(".md")),
]
  .filter((path) => !path.includes("node_modules") && !path.startsWith(SPECIFICATION))
  .map(readText);

describe("citations of the specification", () => {
  test("citations of the specification name a part, a section and an item that exist", () => {
    const wrong = texts.flatMap(({ path, text }) =>
      [...text.matchAll(CITATION)].flatMap(({ 0: citation, groups = {} }) => {
        const { file = "", sections = "", items } = groups;
        const part = PARTS.get(file);
        const isThere =
          numbersOf(sections).every((section) => part?.sections.has(section)) &&
          numbersOf(items ?? "").every(
            (item) => item === "" || part?.items.has(`${sections}/${item}`),
          );
        return isThere ? [] : [`${path}: ${citation}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test("citations of the specification have a form that can be checked: `networking.md, section 22, item 33` or `networking.md, 12.1`", () => {
    const odd = texts.flatMap(({ path, text }) => {
      const mentions = text.match(MENTION)?.length ?? 0;
      const citations = text.match(CITATION)?.length ?? 0;
      const loose = text.match(/\bspecification,? (?:sections? )?[0-9][^ ]*/g) ?? [];
      return [
        ...(mentions === citations
          ? []
          : [`${path}: ${mentions} mentions, ${citations} citations`]),
        ...loose.map((words) => `${path}: ${words}`),
      ];
    });
    expect(odd).toEqual([]);
  });

  test("citations of the specification are many, so that the patterns of this test have found them", () => {
    const count = texts.flatMap(({ text }) => text.match(CITATION) ?? []).length;
    expect(count).toBeGreaterThan(100);
  });
});
