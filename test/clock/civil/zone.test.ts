import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";

import {
  civilAt,
  daysTo,
  formatCivil,
  formatLocalTime,
  loadZone,
  localTime,
  parseTzif,
  parseZoneRule,
  UTC_ZONE,
} from "../../../src/clock/civil/index.ts";
import { parseTai64n, taiFromUnix } from "../../../src/clock/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import { rightZones, ZONE_FOLDER, zones } from "../../support/zones.ts";
import type { Zone } from "../../../src/clock/civil/index.ts";

const posix = loadPosix();

function zoneFile(name: string): Buffer {
  return readFileSync(`${ZONE_FOLDER}/${name}`);
}

/** The offset of a zone by JavaScript's own tz data. */
function offsetByIntl(name: string): (unix: number) => number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  return (unix) => {
    const part = format.formatToParts(unix * 1000).find(({ type }) => type === "timeZoneName");
    const [, sign, hours, minutes = "0"] =
      /GMT(?:([+-])(\d\d):(\d\d))?/.exec(part?.value ?? "") ?? [];
    return (sign === "-" ? -1 : 1) * (Number(hours ?? 0) * 3600 + Number(minutes) * 60);
  };
}

function shown(zone: Zone, unix: number): string {
  return formatCivil(localTime(zone, unix));
}

describe("dates", () => {
  test("dates are those of Date, over as many years as it knows", () => {
    const most = 8_640_000_000_000;
    fc.assert(
      fc.property(fc.integer({ min: -most, max: most }), (seconds) => {
        const date = new Date(seconds * 1000);
        expect(civilAt(seconds)).toEqual({
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
          hour: date.getUTCHours(),
          minute: date.getUTCMinutes(),
          second: date.getUTCSeconds(),
        });
        const { year, month, day } = civilAt(seconds);
        expect(daysTo(year, month, day)).toBe(Math.floor(seconds / 86_400));
      }),
      { numRuns: 10_000 },
    );
  });

  test("dates have as many digits of a year as they need", () => {
    expect(shown(UTC_ZONE, 253_402_300_800)).toBe("10000-01-01 00:00:00");
    expect(shown(UTC_ZONE, -62_135_596_800)).toBe("0001-01-01 00:00:00");
  });
});

describe.skipIf(zones.isMissing)(`a compiled zone${zones.why}`, () => {
  test.each(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])(
    "the zone %s is that of the engine",
    (name) => {
      const zone = loadZone(posix, name);
      const offset = offsetByIntl(name);
      fc.assert(
        fc.property(fc.integer({ min: 86_400 * 730, max: 4_102_444_800 }), (unix) => {
          const span = zone.spanAt(unix);
          expect(span.offset).toBe(offset(unix));
          expect(span.from <= unix && unix < span.until).toBe(true);
          if (Number.isFinite(span.until)) {
            expect(zone.spanAt(span.until - 1)).toEqual(span);
            expect(zone.spanAt(span.until)).not.toEqual(span);
          }
        }),
        { numRuns: 300 },
      );
    },
  );

  test.skipIf(rightZones.isMissing)(
    `a zone in right/ gives the same times${rightZones.why}`,
    () => {
      const [plain, right] = ["", "right/"].map((set) => loadZone(posix, `${set}Europe/Berlin`));
      for (let unix = 86_400; unix < 1_750_000_000; unix += 3_600_000) {
        expect(right?.spanAt(unix).offset).toBe(plain?.spanAt(unix).offset);
      }
    },
  );

  test("a compiled zone is refused when it is cut short, and never misread", () => {
    const file = zoneFile("Europe/Berlin");
    expect(parseTzif(file)).toBeDefined();
    for (let length = 0; length < file.length; length += 1) {
      expect(parseTzif(file.subarray(0, length))).toBeUndefined();
    }
  });

  test("a compiled zone of any bytes is a zone or refused", () => {
    const file = zoneFile("Europe/Berlin");
    const edits = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 20 });
    fc.assert(
      fc.property(edits, (changes) => {
        const mutated = Buffer.from(file);
        for (const [at, byte] of changes) mutated[at] = byte;
        const span = parseTzif(mutated)?.spanAt(1_700_000_000);
        expect(span === undefined || Number.isFinite(span.offset)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("a zone of version 1", () => {
  /** Two types, and one transition at `at`, after a leap second if there is one. */
  function fileOf(at: number, leaps: readonly (readonly [number, number])[]): Buffer {
    const header = Buffer.alloc(44);
    header.write("TZif");
    for (const [index, count] of [0, 0, leaps.length, 1, 2, 4].entries()) {
      header.writeUInt32BE(count, 20 + 4 * index);
    }
    const transition = Buffer.alloc(5, 1);
    transition.writeInt32BE(at);
    const types = Buffer.alloc(12);
    types.writeInt32BE(-3600, 0);
    types.writeInt32BE(7200, 6);
    const seconds = leaps.map(([when, correction]) => {
      const record = Buffer.alloc(8);
      record.writeInt32BE(when, 0);
      record.writeInt32BE(correction, 4);
      return record;
    });
    return Buffer.concat([header, transition, types, Buffer.from("ABC\0"), ...seconds]);
  }

  test("a zone of version 1 has times of 32 bits, and no rule for what comes after them", () => {
    const zone = parseTzif(fileOf(1000, []));
    expect(zone?.spanAt(999)).toEqual({ offset: -3600, from: -Infinity, until: 1000 });
    expect(zone?.spanAt(1000)).toEqual({ offset: 7200, from: 1000, until: Infinity });
  });

  test("a zone of version 1 that counts leap seconds is read as if it did not", () => {
    const zone = parseTzif(fileOf(1000, [[500, 1]]));
    expect(zone?.spanAt(998).offset).toBe(-3600);
    expect(zone?.spanAt(999).offset).toBe(7200);
  });

  test("a zone of version 1 is refused when it is cut short, or names a type that it has not", () => {
    const file = fileOf(1000, []);
    expect(parseTzif(file.subarray(0, -1))).toBeUndefined();
    file[48] = 2;
    expect(parseTzif(file)).toBeUndefined();
  });
});

describe("a rule", () => {
  test.each([
    ["UTC0", 1_700_000_000, "2023-11-14 22:13:20"],
    ["XYZ3", 1_700_000_000, "2023-11-14 19:13:20"],
    ["<+0330>-3:30", 1_700_000_000, "2023-11-15 01:43:20"],
    ["EST5EDT", 1_700_000_000, "2023-11-14 17:13:20"],
    ["EST5EDT", 1_690_000_000, "2023-07-22 00:26:40"],
    ["CET-1CEST,M3.5.0,M10.5.0/3", 1_711_846_799, "2024-03-31 01:59:59"],
    ["CET-1CEST,M3.5.0,M10.5.0/3", 1_711_846_800, "2024-03-31 03:00:00"],
    ["CET-1CEST,M3.5.0,M10.5.0/3", 1_729_990_800, "2024-10-27 02:00:00"],
    ["NZST-12NZDT,M9.5.0,M4.1.0/3", 1_704_067_200, "2024-01-01 13:00:00"],
    ["XXX3EDT4,0/0,J365/23", 1_700_000_000, "2023-11-14 18:13:20"],
    ["AAA0BBB,J60/0,J61/0", 1_709_251_200, "2024-03-01 01:00:00"],
    ["AAA0BBB,59/0,61/0", 1_709_164_800, "2024-02-29 01:00:00"],
  ])("the rule %s at %i is %s", (rule, unix, expected) => {
    const zone = parseZoneRule(rule);
    expect(zone && shown(zone, unix)).toBe(expected);
  });

  test.each([
    "",
    "U",
    "UTC",
    "EST5EDT,M3.2.0",
    "EST5EDT,M13.2.0,M11.1.0",
    "EST5EDT,M3.2.0,J366",
    "5",
  ])("the text %j is no rule", (text) => expect(parseZoneRule(text)).toBeUndefined());
});

describe.skipIf(zones.isMissing)(`TZ${zones.why}`, () => {
  const noon = 1_700_049_600;
  let fake: FakePosix;

  beforeEach(() => {
    fake = new FakePosix();
    fake.putFile("/usr/share/zoneinfo/Here/There", zoneFile("Asia/Tokyo"));
    fake.putFile("/etc/localtime", zoneFile("Europe/Berlin"));
    fake.putFile("/usr/share/zoneinfo/JNK1", "junk");
  });

  test.each([
    ["unset: the zone of the system", undefined, 3600],
    ["empty: UTC", "", 0],
    ["a name", "Here/There", 9 * 3600],
    ["a name after a colon", ":Here/There", 9 * 3600],
    ["a path", "/usr/share/zoneinfo/Here/There", 9 * 3600],
    ["a rule", "XYZ3", -3 * 3600],
    ["a rule with the name of a file that is no zone", "JNK1", -3600],
    ["none of them: UTC", "Nowhere/Foo", 0],
  ])("TZ is read as %s", (_, tz, offset) => {
    const before = fake.openFds;
    expect(loadZone(fake, tz).spanAt(noon).offset).toBe(offset);
    expect(fake.openFds).toEqual(before);
  });
});

test("local time has leap seconds and nanoseconds", () => {
  const zone = parseZoneRule("EST5EDT") ?? UTC_ZONE;
  const leap = parseTai64n("@40000000586846a400000001") ?? taiFromUnix(0n);
  expect(formatLocalTime(zone, leap)).toBe("2016-12-31 18:59:60.000000001");
  expect(formatLocalTime(UTC_ZONE, taiFromUnix(-1n))).toBe("1969-12-31 23:59:59.999999999");
});
