import fc from "fast-check";
import { expect, test } from "vitest";

import { decodeBytes, encodeBytes, joinBlock, splitBlock } from "../../src/posix/bytes.ts";

const bytes = fc.uint8Array({ maxLength: 64 });
/** Mostly text with a few bytes cut off or out of place, which plain random bytes seldom are. */
const nearlyText = fc
  .tuple(fc.string({ unit: "binary", maxLength: 16 }), fc.nat(64), bytes)
  .map(([text, cut, rest]) => Buffer.concat([Buffer.from(text).subarray(cut % 7), rest]));
const word = fc
  .oneof(bytes, nearlyText)
  .map((raw) => decodeBytes(raw.filter((byte) => byte !== 0)));

test("any bytes come back from a string unchanged", () => {
  fc.assert(
    fc.property(fc.oneof(bytes, nearlyText), (raw) => {
      expect(Buffer.from(encodeBytes(decodeBytes(raw)))).toEqual(Buffer.from(raw));
    }),
  );
});

test("valid UTF-8 decodes to the text it spells", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(decodeBytes(Buffer.from(text))).toBe(text);
    }),
  );
});

test("a byte that is part of no character becomes a lone surrogate", () => {
  expect(decodeBytes(Buffer.from([0x61, 0xff, 0xc3]))).toBe("a\udcff\udcc3");
  expect(decodeBytes(Buffer.from([0xed, 0xb2, 0x80]))).toBe("\udced\udcb2\udc80");
});

test("blocks give back the words they were made of", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      expect(splitBlock(joinBlock(words))).toEqual(words);
    }),
  );
});

test("a word is cut at its first NUL and a block may lack its last terminator", () => {
  expect(splitBlock(joinBlock(["a\0b", "", "c"]))).toEqual(["a", "", "c"]);
  expect(splitBlock(Buffer.from("a\0b"))).toEqual(["a", "b"]);
});
