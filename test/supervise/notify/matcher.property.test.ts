import fc from "fast-check";
import { expect, test } from "vitest";
import { PosixRegex } from "../../../src/regex/index.ts";
import {
  CHUNK_BYTES,
  EventMatcher,
  REPORT_BYTES_MAX,
} from "../../../src/supervise/notify/matcher.ts";

function take(matcher: EventMatcher, text: string): string[] {
  return matcher.take(Buffer.from(text, "latin1")).map((events) => events.toString("latin1"));
}

test("events are gathered until they match, and reported whole", () => {
  const matcher = new EventMatcher(new PosixRegex("a.*b"));
  expect(take(matcher, "xaa")).toEqual([]);
  expect(take(matcher, "zzbcc")).toEqual(["xaazzbcc"]);
  expect(take(matcher, "b")).toEqual([]);
  expect(take(matcher, "ab")).toEqual(["bab"]);
});

test("what was read at once is matched in chunks of 32 bytes", () => {
  const matcher = new EventMatcher(new PosixRegex("a"));
  const text = "b".repeat(40) + "a" + "c".repeat(40);
  expect(take(matcher, text)).toEqual([text.slice(0, 64)]);
  expect(take(new EventMatcher(new PosixRegex("a")), "a".repeat(70))).toEqual([
    "a".repeat(32),
    "a".repeat(32),
    "a".repeat(6),
  ]);
});

test("a NUL matches nothing, and does not hide the events behind it", () => {
  const matcher = new EventMatcher(new PosixRegex("a.*b"));
  expect(take(matcher, "a\0b")).toEqual([]);
  expect(take(matcher, "ab")).toEqual(["a\0bab"]);
});

test("events that never match are remembered up to a mebibyte or two, at a cost that does not grow", () => {
  const matcher = new EventMatcher(new PosixRegex("^a(x|xx)*b$"));
  expect(take(matcher, `a${"x".repeat(5 << 20)}`)).toEqual([]);
  const [report = ""] = take(matcher, "b");
  expect(report.length).toBe(REPORT_BYTES_MAX);
  expect(report.endsWith("xb")).toBe(true);
});

const piece = fc.string({ unit: fc.constantFrom("a", "b", "x", "\n", "\0"), maxLength: 80 });
const regex = fc.constantFrom("a.*b", "^ab*$", "(a|b)x$", "x{3}", "", "^$", "[^a]b", "b$");

test("in whichever pieces events come, a match is what the whole of them would be", () => {
  fc.assert(
    fc.property(regex, fc.array(piece, { maxLength: 8 }), (source, pieces) => {
      const matcher = new EventMatcher(new PosixRegex(source));
      const whole = new PosixRegex(source);
      const expected: string[] = [];
      let seen = "";
      for (const text of pieces) {
        for (let at = 0; at < text.length; at += CHUNK_BYTES) {
          seen += text.slice(at, at + CHUNK_BYTES);
          if (!whole.matches(seen)) continue;
          expected.push(seen);
          seen = "";
        }
      }
      expect(pieces.flatMap((text) => take(matcher, text))).toEqual(expected);
    }),
  );
});
