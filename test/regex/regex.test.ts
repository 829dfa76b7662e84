import { describe, expect, test } from "vitest";
import { PosixRegex, RegexError } from "../../src/regex/index.ts";

function matches(source: string, text: string): boolean {
  return new PosixRegex(source).matches(text);
}

describe("an expression matches", () => {
  test.each([
    ["", ""],
    ["", "anything"],
    ["^unix:/run/", "unix:/run/web"],
    ["^(unix|tcp):.+$", "tcp:127.0.0.1:80"],
    ["^[[:alnum:]_.-]+$", "my_id-1.2"],
    ["a{2,3}b", "caab"],
    ["a{,2}$", ""],
    ["[]x]", "]"],
    ["[^]x]", "y"],
    ["[a-]", "-"],
    ["a|", "zzz"],
    ["a)", "a)"],
    ["\\.", "."],
    ["\\<web\\>", "unix:/run/web"],
    ["\\w\\W\\s", "a: "],
    [".", "\xff"],
    ["[\xe0-\xff]", "\xe9"],
  ])("%j matches %j", (source, text) => {
    expect(matches(source, text)).toBe(true);
  });
});

describe("an expression does not match", () => {
  test.each([
    ["^ok", "no"],
    ["^ok", "not ok"],
    ["a{2}", "aba"],
    ["[^a]", "a"],
    ["\\d", "1"],
    ["a.c", "ac"],
    ["A", "a"],
    ["\\bx", "axa"],
    ["a^b", "ab"],
  ])("%j does not match %j", (source, text) => {
    expect(matches(source, text)).toBe(false);
  });
});

describe("text that is no expression is refused", () => {
  test.each([
    ["*a", "nothing to repeat"],
    ["(*a)", "nothing to repeat"],
    ["a|*b", "nothing to repeat"],
    ["^*", "nothing to repeat"],
    ["(a", '"(" without ")"'],
    ["a{", '"{" without'],
    ["a{x}", '"{" without'],
    ["a{2,1}", "wrong order"],
    ["a{32768}", "above 32767"],
    ["[a", '"[" without "]"'],
    ["[b-a]", "wrong order"],
    ["[a-b-c]", "neither first, last"],
    ["[[:letter:]]", "no class"],
    ["[[.ab.]]", "no single character"],
    ["a\\", "at the end"],
    ["(a)\\1", "back-reference"],
    ["(^|/)+", "repeats"],
    ["a\0b", "NUL"],
    ["\u20ac", "no byte"],
    [`${"(".repeat(201)}${")".repeat(201)}`, "nested"],
    ["((a{255}){255}){255}", "states"],
  ])("%j is refused", (source, why) => {
    expect(() => new PosixRegex(source)).toThrow(RegexError);
    expect(() => new PosixRegex(source)).toThrow(why);
  });
});

test("an expression that takes a backtracking engine longer than anybody lives is decided at once", () => {
  const text = "a".repeat(255);
  expect(matches("^(a|a)*b$", text)).toBe(false);
  expect(matches("^((a*)*)*b$", text)).toBe(false);
  expect(matches("^(a?){60}a{60}$", "a".repeat(60))).toBe(true);
});

test("an expression with very many sets of states forgets them and still matches", () => {
  const regex = new PosixRegex("(a|b)*a(a|b){12}$");
  let text = "";
  for (let at = 0; at < 5000; at += 1) text += (at * at) % 7 < 3 ? "a" : "b";
  for (let end = 4980; end < 5000; end += 1) {
    expect(regex.matches(text.slice(0, end))).toBe(text[end - 13] === "a");
  }
});

test("a text that comes in pieces matches as the whole does, at the end of each of them", () => {
  const scan = new PosixRegex("a\n?b$").scan();
  expect(["xa", "\n", "b", "c", ""].map((piece) => scan.feed(piece))).toEqual([
    false,
    false,
    true,
    false,
    false,
  ]);
  const found = new PosixRegex("ab").scan();
  expect(["a", "b", "c"].map((piece) => found.feed(piece))).toEqual([false, true, true]);
});
