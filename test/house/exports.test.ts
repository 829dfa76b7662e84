/** One name means one thing: what the areas export does not take each other's names. */

import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { areaOf, readSources } from "./source-tree.ts";

/** What the package's own index makes of the areas' by giving them the system of this process. */
const BOUND: ReadonlySet<string> = new Set(["TcpServer", "LocalServer", "askIdent", "querySntp"]);

/** What each state machine calls its parts, and what areas call the function that words their failures. */
const EVERYBODYS: ReadonlySet<string> = new Set([
  "State",
  "Event",
  "Effect",
  "Step",
  "step",
  "attempt",
]);

const REEXPORT = /^export (?:type )?\{([^}]*)\} from "(\.[^"]+)";/gm;
const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|const|enum|function\*?|interface|let|type) (\w+)/gm;

const texts = new Map(readSources().map(({ path, text }) => [path, text]));

/** What one file exports: each name, with the file and the name of its declaration. */
function exportsOf(path: string): ReadonlyMap<string, string> {
  const text = texts.get(path) ?? "";
  const names = new Map<string, string>();
  for (const [, name = ""] of text.matchAll(DECLARATION)) names.set(name, `${path} ${name}`);
  for (const [, list = "", from = ""] of text.matchAll(REEXPORT)) {
    const origins = exportsOf(join(dirname(path), from));
    for (const item of list.split(",")) {
      const [inner = "", outer = inner] = item
        .trim()
        .replace(/^type /, "")
        .split(" as ");
      const origin = origins.get(inner);
      if (origin !== undefined) names.set(outer, origin);
      else if (inner !== "") throw new Error(`${path} exports ${inner}, which ${from} does not`);
    }
  }
  return names;
}

/** Names with more than one declaration behind them. */
function doubles(files: readonly string[]): string[] {
  const origins = new Map<string, Set<string>>();
  for (const path of files) {
    for (const [name, origin] of exportsOf(path)) {
      if (path === "index.ts" && BOUND.has(name)) continue;
      origins.set(name, (origins.get(name) ?? new Set()).add(origin));
    }
  }
  return [...origins]
    .filter(([, declarations]) => declarations.size > 1)
    .map(([name, declarations]) => `${name}: ${[...declarations].toSorted().join(", ")}`);
}

test("every export has a name that can be found", () => {
  const stars = [...texts].filter(([, text]) => /^export (?:\*|default|\{[^}]*\};)/m.test(text));
  expect(stars.map(([path]) => path)).toEqual([]);
});

test("no two areas export one name for different things", () => {
  const indexes = [...texts.keys()].filter((path) => basename(path) === "index.ts");
  expect(new Set(indexes.map(areaOf)).size).toBeGreaterThan(10);
  expect(doubles(indexes)).toEqual([]);
});

test("no two files export one name for different things, but the words of state machines", () => {
  const found = doubles([...texts.keys()]);
  expect(found.filter((line) => !EVERYBODYS.has(line.split(":")[0] ?? ""))).toEqual([]);
});
