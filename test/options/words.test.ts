import { describe, expect, test } from "vitest";
import {
  choice,
  flag,
  list,
  milliseconds,
  millisecondsOrForever,
  oneOf,
  parseOptions,
  passedOn,
  pathOfKind,
  pick,
  text,
  undoneBy,
  unsigned,
  value,
  withLongNames,
  wordsOf,
} from "../../src/options/index.ts";
import type { OptionsOf, OptionTable } from "../../src/options/index.ts";

function parse<Table extends OptionTable>(options: Table, words: readonly string[]) {
  return parseOptions({ family: "long", options, explains: false }, words).options;
}

const HELP = { help: "" };

const TABLE = {
  level: value({ short: "v", argument: "level", glued: true, ...HELP }, unsigned, 1),
  quiet: flag({ short: "q", long: "quiet", ...HELP }),
  name: value({ short: "n", long: "name", argument: "name", ...HELP }, text),
  also: list({ long: "also", argument: "name", ...HELP }, text),
  color: choice("none", [
    { short: "r", value: "red", ...HELP },
    { long: "blue", value: "blue", ...HELP },
    { long: "no-color", value: "none", ...HELP },
  ]),
  timeoutMs: value({ short: "t", argument: "ms", ...HELP }, milliseconds, 5),
  drainMs: value({ long: "drain", argument: "ms", ...HELP }, millisecondsOrForever),
  rules: pathOfKind([
    { short: "i", argument: "dir", kind: "directory", ...HELP },
    { short: "x", argument: "file", kind: "cdb", ...HELP },
  ]),
};

const INITIAL: OptionsOf<typeof TABLE> = parse(TABLE, []);

describe("the words of options", () => {
  test("the words of options leave out defaults", () => {
    expect(wordsOf(TABLE, INITIAL)).toEqual([]);
  });

  test.each([
    [{ level: 2 }, ["-v2"]],
    [{ level: 0 }, ["-v0"]],
    [{ quiet: true }, ["-q"]],
    [{ name: "" }, ["-n", ""]],
    [{ name: "-q" }, ["-n", "-q"]],
    [{ also: ["a", "", "b"] }, ["--also=a", "--also=", "--also=b"]],
    [{ color: "red" as const }, ["-r"]],
    [{ color: "blue" as const }, ["--blue"]],
    [{ timeoutMs: undefined }, ["-t", "0"]],
    [{ drainMs: Infinity }, ["--drain=0"]],
    [{ rules: { directory: "d" } }, ["-i", "d"]],
    [{ rules: { cdb: "f" } }, ["-x", "f"]],
  ])("the options %j are written as %j, and parse to the same again", (changed, words) => {
    const options = { ...INITIAL, ...changed };
    expect(wordsOf(TABLE, options)).toEqual(words);
    expect(parse(TABLE, words)).toEqual(options);
  });

  test("the words of options stand in the order of the table", () => {
    const told = ["--drain=0", "-x", "f", "--blue", "--also=a", "-n", "b", "-qv3"];
    const words = ["-v3", "-q", "-n", "b", "--also=a", "--blue", "--drain=0", "-x", "f"];
    expect(wordsOf(TABLE, parse(TABLE, told))).toEqual(words);
  });

  test("the words of options stand in the order of the keys where a part of the table is picked", () => {
    const options = parse(TABLE, ["-v3", "-q", "-n", "b"]);
    expect(wordsOf(pick(TABLE, "name", "quiet"), options)).toEqual(["-n", "b", "-q"]);
  });

  test("the words of options never attach an empty argument, which would take the next word", () => {
    const table = { name: value({ short: "n", argument: "name", glued: true, ...HELP }, text) };
    expect(wordsOf(table, { name: "" })).toEqual(["-n", ""]);
    expect(wordsOf(table, { name: "a" })).toEqual(["-na"]);
  });
});

describe("an option that is passed on", () => {
  const table = { level: passedOn(TABLE.level), also: passedOn(TABLE.also) };

  test("an option that is passed on is undefined until it is met", () => {
    expect(parse(table, [])).toEqual({ level: undefined, also: undefined });
    expect(wordsOf(table, parse(table, []))).toEqual([]);
  });

  test("an option that is passed on is written even when it has the other command's default", () => {
    expect(wordsOf(table, parse(table, ["-v", "1"]))).toEqual(["-v1"]);
  });

  test("an option that is passed on goes on from where the other command starts", () => {
    expect(parse(table, ["--also=a", "--also=b"]).also).toEqual(["a", "b"]);
  });
});

describe("a table with long names", () => {
  const table = withLongNames(pick(TABLE, "level", "color"), { v: "verbosity", r: "red" });

  test("a table with long names takes the long names for the letters", () => {
    expect(parse(table, ["--verbosity=3", "--red"])).toEqual({ level: 3, color: "red" });
    expect(parse(table, ["-v3", "-r"])).toEqual({ level: 3, color: "red" });
  });

  test("a table with long names leaves the table that it is made of alone", () => {
    expect(TABLE.level.forms.map(({ long }) => long)).toEqual([undefined]);
  });
});

test("an option that can be reset is as before when the resetting option came last", () => {
  const table = { quiet: undoneBy(TABLE.quiet, { long: "loud", ...HELP }) };
  expect(parse(table, ["-q", "--loud"]).quiet).toBe(false);
  expect(parse(table, ["--loud", "-q"]).quiet).toBe(true);
  expect(wordsOf(table, { quiet: true })).toEqual(["-q"]);
});

test("a word that is one of a few is written as it is", () => {
  const table = { format: value({ long: "format", argument: "a|b", ...HELP }, oneOf("a", "b")) };
  expect(wordsOf(table, { format: "b" })).toEqual(["--format=b"]);
});
