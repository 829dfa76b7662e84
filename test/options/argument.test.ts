import { describe, expect, test } from "vitest";
import {
  atLeastOne,
  descriptorAbove2,
  descriptorNumber,
  InvalidArgument,
  milliseconds,
  millisecondsOrForever,
  millisecondsOrZero,
  nonEmptyText,
  octalMode,
  oneOf,
  seconds,
  textThat,
  unsigned,
} from "../../src/options/index.ts";
import type { ArgumentKind } from "../../src/options/index.ts";
import { NO_NUMBERS } from "./sample-words.ts";

const KINDS: Readonly<Record<string, ArgumentKind<unknown>>> = {
  unsigned,
  atLeastOne,
  milliseconds,
  millisecondsOrZero,
  millisecondsOrForever,
  seconds,
  descriptorNumber,
  descriptorAbove2,
  octalMode,
};

describe("a number", () => {
  for (const [name, kind] of Object.entries(KINDS)) {
    test.each(NO_NUMBERS)(`a number of the kind ${name} is not %j`, (text) => {
      expect(() => kind.parse(text)).toThrow(InvalidArgument);
    });

    test(`a number of the kind ${name} may have leading zeros`, () => {
      expect(kind.parse("0007")).toBe(kind.parse("7"));
    });
  }

  test.each([
    [unsigned, 0xffff_ffff],
    [atLeastOne, 0xffff_ffff],
    [milliseconds, 0x7fff_ffff],
    [millisecondsOrZero, 0x7fff_ffff],
    [millisecondsOrForever, 0x7fff_ffff],
    [seconds, 2_147_483],
    [descriptorNumber, 0x7fff_ffff],
    [descriptorAbove2, 0x7fff_ffff],
  ])("a number has a largest value, and one more is refused (%#)", (kind, most) => {
    expect(() => kind.parse(String(most))).not.toThrow();
    expect(() => kind.parse(String(most + 1))).toThrow(`up to ${most}`);
  });

  test.each<[ArgumentKind<unknown>, string, unknown, string]>([
    [unsigned, "0", 0, "0"],
    [atLeastOne, "0", 1, "1"],
    [milliseconds, "0", undefined, "0"],
    [milliseconds, "9", 9, "9"],
    [millisecondsOrZero, "0", 0, "0"],
    [millisecondsOrForever, "0", Infinity, "0"],
    [millisecondsOrForever, "9", 9, "9"],
    [seconds, "0", undefined, "0"],
    [seconds, "9", 9000, "9"],
    [octalMode, "0644", 0o644, "644"],
    [octalMode, "0007777", 0o7777, "7777"],
  ])(
    "a number means what its kind says, and is written so that it means the same (%#)",
    (...row) => {
      const [kind, text, parsed, formatted] = row;
      expect(kind.parse(text)).toBe(parsed);
      expect(kind.format(parsed)).toBe(formatted);
    },
  );

  test("a number of a descriptor that must not be a standard one is at least 3", () => {
    expect(() => descriptorAbove2.parse("2")).toThrow("at least 3");
    expect(descriptorAbove2.parse("3")).toBe(3);
  });

  test("a number of a mode has octal digits, and no more bits than permissions have", () => {
    expect(() => octalMode.parse("8")).toThrow(InvalidArgument);
    expect(() => octalMode.parse("10000")).toThrow(InvalidArgument);
    expect(() => octalMode.parse("100644")).toThrow(InvalidArgument);
  });
});

describe("a text", () => {
  test("a text that must not be empty is refused by what it should be", () => {
    expect(() => nonEmptyText("a name").parse("")).toThrow("must be a name");
    expect(nonEmptyText("a name").parse(" ")).toBe(" ");
  });

  test("a text that is checked is refused by what it should be", () => {
    const upper = textThat((text) => text === text.toUpperCase(), "in capitals");
    expect(upper.parse("A")).toBe("A");
    expect(() => upper.parse("a")).toThrow("must be in capitals");
  });

  test("a text that is one of a few is compared whole", () => {
    const kind = oneOf("text", "json");
    expect(kind.parse("json")).toBe("json");
    expect(() => kind.parse("js")).toThrow("must be one of text, json");
    expect(() => kind.parse("")).toThrow(InvalidArgument);
  });
});
