import fc from "fast-check";
import { expect, test } from "vitest";
import { receivedText, receivedWord } from "../../src/net/index.ts";
import { decodeBytes, encodeBytes } from "../../src/posix/index.ts";

/** Bytes of any kind, control characters among them rather often. */
const bytes = fc
  .oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.array(fc.constantFrom(0, 10, 27, 65, 127, 0xc2, 0x85)),
  )
  .map((list) => Uint8Array.from(list));

function isControl(codePoint: number): boolean {
  return codePoint < 0x20 || (codePoint >= 0x7f && codePoint < 0xa0);
}

test("a value from the network becomes a variable whole or not at all, without control characters", () => {
  fc.assert(
    fc.property(bytes, fc.nat(50), (list, bytesMax) => {
      const value = decodeBytes(list);
      const text = receivedText(value, bytesMax);
      if (text === undefined) expect(list.length > bytesMax || /\p{Cc}/u.test(value)).toBe(true);
      else expect(Buffer.from(list).equals(encodeBytes(text))).toBe(true);
      expect(Array.from(text ?? "").some((one) => isControl(one.codePointAt(0) ?? 0))).toBe(false);
      const word = receivedWord(value);
      if (word !== undefined) expect(word).toMatch(/^[!-~]{1,255}$/);
      if (word !== undefined) expect(word).toBe(value);
    }),
    { numRuns: 1000 },
  );
});

test("a word from the network has at least one byte and 255 at most, a text may be empty", () => {
  expect([
    receivedWord(""),
    receivedWord("x".repeat(255))?.length,
    receivedWord("x".repeat(256)),
  ]).toEqual([undefined, 255, undefined]);
  expect([receivedText("", 0), receivedText("é", 1), receivedText("é", 2)]).toEqual([
    "",
    undefined,
    "é",
  ]);
});
