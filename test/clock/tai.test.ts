import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  formatTai64n,
  leapStateAt,
  packTai64n,
  parseTai64n,
  taiAt,
  taiFromUnix,
  taiFromUtc,
  taiMinusUnix,
  unpackTai64n,
  utcFromTai,
} from "../../src/clock/index.ts";

const NS = 1_000_000_000n;

/** The days after which a second was inserted, as the IERS announced them. */
const LEAP_DAYS = [
  ...["1972-06-30", "1972-12-31", "1973-12-31", "1974-12-31", "1975-12-31", "1976-12-31"],
  ...["1977-12-31", "1978-12-31", "1979-12-31", "1981-06-30", "1982-06-30", "1983-06-30"],
  ...["1985-06-30", "1987-12-31", "1989-12-31", "1990-12-31", "1992-06-30", "1993-06-30"],
  ...["1994-06-30", "1995-12-31", "1997-06-30", "1998-12-31", "2005-12-31", "2008-12-31"],
  ...["2012-06-30", "2015-06-30", "2016-12-31"],
];

const midnights = LEAP_DAYS.map((day) => BigInt(Date.parse(`${day}T00:00:00Z`) / 1000 + 86_400));

/** Around leap seconds more often than anywhere else, and as far as nanoseconds of 64 bits go. */
const unixTimes = fc.oneof(
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  fc
    .tuple(fc.constantFrom(...midnights), fc.bigInt({ min: -2n * NS, max: 2n * NS }))
    .map(([midnight, shift]) => midnight * NS + shift),
);

describe("TAI and UTC", () => {
  test.each([
    [0n, "@400000000000000a"],
    [78_796_799n, "@4000000004b25809"],
    [78_796_800n, "@4000000004b2580b"],
    [94_694_400n, "@4000000005a4ec0c"],
    [915_148_799n, "@40000000368c101e"],
    [915_148_800n, "@40000000368c1020"],
    [1_000_000_000n, "@400000003b9aca20"],
    [1_483_228_799n, "@40000000586846a3"],
    [1_483_228_800n, "@40000000586846a5"],
    [1_700_000_000n, "@400000006553f125"],
    [1_795_198_142n, "@400000006b008ce3"],
    [2_147_483_647n, "@4000000080000024"],
  ])("Unix time %d is %s", (unix, label) => {
    expect(formatTai64n(taiFromUnix(unix * NS + 123_456_789n))).toBe(`${label}075bcd15`);
    const tai = parseTai64n(`${label}075bcd15`);
    expect(tai && utcFromTai(tai)).toEqual({
      unixNs: unix * NS + 123_456_789n,
      isLeapSecond: false,
    });
  });

  test.each(midnights.map((midnight, index) => [LEAP_DAYS[index], midnight, 10 + index] as const))(
    "the day %s ended with a second 23:59:60 in Unix time %s, in every nanosecond of it",
    (_, midnight, before) => {
      const seconds = [midnight - 1n, midnight].map((unix) => taiFromUnix(unix * NS));
      const [last = taiAt(0n), first = taiAt(0n)] = seconds;
      expect(first - last).toBe(2n * NS);
      expect(taiMinusUnix(Number(midnight) - 1)).toBe(before);
      expect(taiMinusUnix(Number(midnight))).toBe(before + 1);
      for (const into of [0n, 1n, NS - 1n]) {
        const utc = { unixNs: midnight * NS + into, isLeapSecond: true };
        expect(utcFromTai(taiAt(last + NS + into))).toEqual(utc);
        expect(taiFromUtc(utc)).toBe(last + NS + into);
      }
      expect(utcFromTai(taiAt(last + NS - 1n)).isLeapSecond).toBe(false);
      expect(utcFromTai(first).isLeapSecond).toBe(false);
    },
  );

  test("there are no other leap seconds", () => {
    expect(() => taiFromUtc({ unixNs: 1_700_000_000n * NS, isLeapSecond: true })).toThrow(
      RangeError,
    );
    expect(leapStateAt(1_483_228_836)).toEqual({ taiMinusUnix: 36, isLeap: true });
    expect(leapStateAt(1_483_228_837)).toEqual({ taiMinusUnix: 37, isLeap: false });
  });

  test("Unix time is the same after conversion to TAI and back", () => {
    fc.assert(
      fc.property(unixTimes, (unixNs) => {
        const utc = utcFromTai(taiFromUnix(unixNs));
        expect(utc).toEqual({ unixNs, isLeapSecond: false });
      }),
      { numRuns: 10_000 },
    );
  });

  test("TAI is the same after conversion to UTC and back, and keeps its order", () => {
    fc.assert(
      fc.property(unixTimes, (ns) => {
        const tai = taiAt(ns);
        expect(taiFromUtc(utcFromTai(tai))).toBe(tai);
        const [now, next] = [utcFromTai(tai), utcFromTai(taiAt(ns + 1n))];
        const isSetBack = now.isLeapSecond && !next.isLeapSecond;
        expect(next.unixNs - now.unixNs).toBe(isSetBack ? 1n - NS : 1n);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("TAI64N labels", () => {
  test("TAI64N labels are 12 bytes, or @ and 24 digits of either case", () => {
    const tai = taiFromUnix(1_700_000_000_500_000_000n);
    expect(formatTai64n(tai)).toBe("@400000006553f1251dcd6500");
    expect(Buffer.from(packTai64n(tai)).toString("hex")).toBe("400000006553f1251dcd6500");
    expect(parseTai64n("@400000006553F1251DCD6500")).toBe(tai);
  });

  test.each([
    ["", "nothing"],
    ["400000006553f1251dcd6500", "no @"],
    ["@400000006553f1251dcd650", "a digit too few"],
    ["@400000006553f1251dcd65000", "a digit too many"],
    ["@400000006553f1251dcd650g", "no digit"],
    ["@400000006553f1253b9aca00", "a second of nanoseconds"],
    ["@800000000000000000000000", "reserved"],
    ["@400000006553f1251dcd6500\n", "a line feed"],
  ])("the text %j is no TAI64N label: %s", (text) => {
    expect(parseTai64n(text)).toBeUndefined();
  });

  test("TAI64N labels cover 2^62 seconds before 1970 and after it, and no more", () => {
    const [first, last] = [taiAt(-(1n << 62n) * NS), taiAt((1n << 62n) * NS - 1n)];
    expect(formatTai64n(first)).toBe(`@${"0".repeat(24)}`);
    expect(formatTai64n(last)).toBe("@7fffffffffffffff3b9ac9ff");
    expect(() => packTai64n(taiAt(first - 1n))).toThrow(RangeError);
    expect(() => packTai64n(taiAt(last + 1n))).toThrow(RangeError);
    expect([first, last].map((tai) => parseTai64n(formatTai64n(tai)))).toEqual([first, last]);
  });

  test("TAI64N labels are the same after packing and text; any 12 bytes are a label or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
        const tai = unpackTai64n(bytes);
        if (tai === undefined) return;
        expect(Buffer.from(packTai64n(tai))).toEqual(Buffer.from(bytes.subarray(0, 12)));
        expect(parseTai64n(formatTai64n(tai))).toBe(tai);
      }),
      { numRuns: 5000 },
    );
  });
});
