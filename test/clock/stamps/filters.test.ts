import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { loadZone, parseZoneRule, UTC_ZONE } from "../../../src/clock/civil/index.ts";
import { parseTai64n, utcFromTai } from "../../../src/clock/index.ts";
import {
  filterLines,
  LINE_BYTES_KEPT,
  LocalizingFilter,
  StampingFilter,
} from "../../../src/clock/stamps/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";
import type { LineFilter } from "../../../src/clock/stamps/index.ts";
import type { Zone } from "../../../src/clock/civil/index.ts";

/** Run a filter over an input that arrives in these pieces; what it wrote, and after which read. */
function filtered(filter: LineFilter, pieces: readonly Uint8Array[]) {
  const posix = new FakePosix();
  const input = posix.open("/input", "read", { create: 0o600 });
  const output = posix.open("/output", "write", { create: 0o600 });
  const waiting = [...pieces];
  const writtenBefore: string[] = [];
  posix.read = (_, into) => {
    writtenBefore.push(posix.fileText("/output"));
    const piece = waiting.shift() ?? new Uint8Array(0);
    const now = piece.subarray(0, into.length);
    if (now.length < piece.length) waiting.unshift(piece.subarray(now.length));
    into.set(now);
    return now.length;
  };
  filterLines(posix, { input, output }, filter);
  const bytes = Buffer.from(posix.files.get("/output")?.content ?? []);
  return { bytes, text: bytes.toString("latin1"), writtenBefore };
}

function localized(text: string, zone: Zone = UTC_ZONE): string {
  return filtered(new LocalizingFilter(zone), [Buffer.from(text, "latin1")]).text;
}

function inPieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends
    .map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
    .filter(({ length }) => length > 0);
}

const LABEL = "@400000006b008cee09dbd076";
const TIME = "2026-11-20 18:09:13.165400694";

describe("labels to local time", () => {
  test.each([
    [`${LABEL} hello\n`, `${TIME} hello\n`],
    [`${LABEL}\n`, `${TIME}\n`],
    [`${LABEL}x`, `${TIME}x`],
    [LABEL, LABEL],
    [`${LABEL.toUpperCase()} x\n`, `${TIME} x\n`],
    [`${LABEL} ${LABEL}\n`, `${TIME} ${LABEL}\n`],
    [` ${LABEL} x\n`, ` ${LABEL} x\n`],
    [`@${LABEL} x\n`, `@${LABEL} x\n`],
    [`@40000000586846a40000000 short\n`, `@40000000586846a40000000 short\n`],
    [`@40000000586846a43b9aca00 x\n`, `@40000000586846a43b9aca00 x\n`],
    [`@40000000586846a4ffffffff x\n`, `@40000000586846a4ffffffff x\n`],
    [`@40000000586846a43b9ac9ff x\n`, `2016-12-31 23:59:60.999999999 x\n`],
    [`@40000000586846a300000000 x\n`, `2016-12-31 23:59:59.000000000 x\n`],
    [`@40000000586846a500000000 x\n`, `2017-01-01 00:00:00.000000000 x\n`],
    [`@4000000004b2580a00000001 x\n`, `1972-06-30 23:59:60.000000001 x\n`],
    [`@400000000000000a00000000 x\n`, `1970-01-01 00:00:00.000000000 x\n`],
    [`@400000000000000900000000 x\n`, `@400000000000000900000000 x\n`],
    [`@3fffffffffffffff00000000 x\n`, `@3fffffffffffffff00000000 x\n`],
    [`@4000003afff441a500000000 x\n`, `10000-01-01 00:00:00.000000000 x\n`],
    [`@7fffffffffffffff00000000 x\n`, `@7fffffffffffffff00000000 x\n`],
    [`@ffffffffffffffff00000000 x\n`, `@ffffffffffffffff00000000 x\n`],
    ["\0\xff\n\n@\n", "\0\xff\n\n@\n"],
    ["", ""],
  ])("a label %j becomes %j in local time", (text, expected) => {
    expect(localized(text)).toBe(expected);
  });

  test("labels in local time follow the seconds of a minute, back and forth", () => {
    const seconds = [0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0x69, 0x68, 0xa4, 0xa3];
    const lines = seconds.map((low) => `@40000000586846${low.toString(16)}00000000\n`);
    expect(lines.map((line) => localized(line)).join("")).toBe(localized(lines.join("")));
    expect(localized(lines.join("")).match(/\d\d:\d\d:\d\d/g)).toEqual([
      ...["23:59:58", "23:59:59", "23:59:60", "00:00:00", "00:00:01"],
      ...["23:59:01", "23:59:00", "23:59:60", "23:59:59"],
    ]);
  });

  test("labels in local time show a change of the clock in the middle of a minute", () => {
    const zone = parseZoneRule("AAA0BBB,J60/0:00:30,J90/0");
    expect(zone).toBeDefined();
    const lines =
      "@4000000065e11bbe00000000\n@4000000065e11bd300000000\n@4000000065e11bdf00000000\n";
    const expected = lines.split(/(?<=\n)/).map((line) => localized(line, zone));
    expect(localized(lines, zone)).toBe(expected.join(""));
  });

  test("labels become the same local time in whatever pieces the input arrives", () => {
    const part = fc.constantFrom(LABEL, `${LABEL} a`, "\n", "@", "x", "@40", "\0", "b".repeat(300));
    const text = fc.array(part, { maxLength: 30 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 10 }), (input, cuts) => {
        const pieces = inPieces(Buffer.from(input), cuts);
        expect(filtered(new LocalizingFilter(UTC_ZONE), pieces).text).toBe(localized(input));
      }),
    );
  });

  test("a line with its label in local time is written when it is complete, and no earlier", () => {
    const pieces = ["a\nb", "c", "\n"].map((piece) => Buffer.from(piece));
    const { writtenBefore } = filtered(new LocalizingFilter(UTC_ZONE), pieces);
    expect(writtenBefore).toEqual(["", "a\n", "a\n", "a\nbc\n"]);
  });

  test("a line of any length is passed on, in parts, and no label is looked for inside", () => {
    const long = Buffer.alloc(LINE_BYTES_KEPT * 9 + 5, `${LABEL} `);
    const pieces = inPieces(long, [1, LINE_BYTES_KEPT - 1, LINE_BYTES_KEPT, 300_000]);
    const { bytes } = filtered(new LocalizingFilter(UTC_ZONE), [
      ...pieces,
      Buffer.from(`\n${LABEL}\n`),
    ]);
    const expected = `${TIME}${long.toString().slice(LABEL.length)}\n${TIME}\n`;
    expect(bytes.equals(Buffer.from(expected))).toBe(true);
  });

  test("a filter to local time reads the zone of a name as libc does", () => {
    const posix = new FakePosix();
    expect(localized(`${LABEL} x\n`, loadZone(posix, "XYZ-3"))).toBe(
      "2026-11-20 21:09:13.165400694 x\n",
    );
  });
});

describe("labels in front of lines", () => {
  function stamping(start = 1_700_000_000_999_999_998n): StampingFilter {
    let now = start;
    return new StampingFilter(() => now++);
  }

  test("a label in front of a line gives the time of that line", () => {
    const { text } = filtered(stamping(), [Buffer.from("a\nb\n\0\xff\n", "latin1")]);
    expect(text).toBe(
      "@400000006553f1253b9ac9fe a\n@400000006553f1253b9ac9ff b\n@400000006553f12600000000 \0\xff\n",
    );
  });

  test.each([
    ["", ""],
    ["a", "@400000006553f1253b9ac9fe a\n"],
    ["\n\n", "@400000006553f1253b9ac9fe \n@400000006553f1253b9ac9ff \n"],
  ])("stamping lines turns %j into %j", (input, expected) => {
    expect(filtered(stamping(), [Buffer.from(input)]).text).toBe(expected);
  });

  test("labels in front of lines follow a clock that is set back, even to before 1970", () => {
    const times = [1_700_000_000_000_000_000n, 1_600_000_000_000_000_000n, -1n];
    const filter = new StampingFilter(() => times.shift() ?? 0n);
    const { text } = filtered(filter, [Buffer.from("a\nb\nc\n")]);
    const shown = text
      .split("\n")
      .slice(0, 3)
      .map((line) => parseTai64n(line.slice(0, 25)));
    expect(shown.map((tai) => tai && utcFromTai(tai).unixNs)).toEqual([
      1_700_000_000_000_000_000n,
      1_600_000_000_000_000_000n,
      -1n,
    ]);
  });

  test("stamping lines keeps every byte, in whatever pieces they arrive", () => {
    const input = fc
      .uint8Array({ maxLength: 2000 })
      .map((bytes) => Buffer.from(bytes.map((b) => (b < 40 ? 10 : b))));
    fc.assert(
      fc.property(input, fc.array(fc.nat(), { maxLength: 10 }), (bytes, cuts) => {
        const { text } = filtered(stamping(), inPieces(bytes, cuts));
        const rest = text.replaceAll(/^@[0-9a-f]{24} /gm, "");
        const isWhole = bytes.length === 0 || bytes.at(-1) === 10;
        expect(rest).toBe(bytes.toString("latin1") + (isWhole ? "" : "\n"));
      }),
    );
  });

  test("a long line gets one label", () => {
    const long = Buffer.alloc(LINE_BYTES_KEPT * 5, "x");
    const { text } = filtered(stamping(), [long]);
    expect(text.match(/@/g)).toHaveLength(1);
    expect(text).toHaveLength(long.length + 27);
  });
});
