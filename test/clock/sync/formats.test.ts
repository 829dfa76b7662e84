import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { parseTai64n, taiAt, taiFromUnix, utcFromTai } from "../../../src/clock/index.ts";
import {
  formatOffset,
  ntp64FromUnix,
  OffsetInterval,
  parseOffset,
  readOffsetRecord,
  unixFromNtp64,
} from "../../../src/clock/sync/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";

const NS = 1_000_000_000n;

describe("NTP timestamps", () => {
  test.each([
    [1_700_000_000n * NS + 500_000_000n, 0xe8fe6f8080000000n],
    [2_085_978_496n * NS, 0n],
    [0n, 0x83aa7e8000000000n],
  ])("the NTP timestamp of %d ns is %d", (unixNs, stamp) => {
    expect(ntp64FromUnix(unixNs)).toBe(stamp);
    expect(unixFromNtp64(stamp)).toBe(unixNs);
  });

  test("NTP timestamps are those of the C suite for the instant of a label", () => {
    const tai = parseTai64n("@400000006b008cee09dbd076") ?? taiAt(0n);
    expect(ntp64FromUnix(utcFromTai(tai).unixNs)).toBe(0xeeab0b492a57b32bn);
  });

  test("NTP timestamps cover 1968 to 2104 and nothing else", () => {
    const first = Date.UTC(1968, 0, 20, 3, 14, 8);
    const [firstNs, endNs] = [
      BigInt(first) * 1_000_000n,
      (BigInt(first) / 1000n + (1n << 32n)) * NS,
    ];
    expect(ntp64FromUnix(firstNs - 1n)).toBeUndefined();
    expect(ntp64FromUnix(endNs)).toBeUndefined();
    expect([firstNs, endNs - 1n].map((ns) => ntp64FromUnix(ns))).not.toContain(undefined);
    expect(unixFromNtp64(ntp64FromUnix(firstNs) ?? 0n)).toBe(firstNs);
  });

  test("NTP timestamps are exact to a quarter of a nanosecond both ways", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (stamp) => {
        const back = ntp64FromUnix(unixFromNtp64(stamp)) ?? 0n;
        expect(BigInt.asUintN(64, stamp - back)).toBeLessThanOrEqual(5n);
      }),
    );
    const times = fc.bigInt({ min: 0n, max: 4_000_000_000n * NS });
    fc.assert(
      fc.property(times, (unixNs) => {
        const lost = unixNs - unixFromNtp64(ntp64FromUnix(unixNs) ?? 0n);
        expect(lost === 0n || lost === 1n).toBe(true);
      }),
    );
  });
});

describe("offset records", () => {
  test.each([
    [0n, "000000000000000000000000"],
    [-5_500_000_000n, "fffffffffffffffa1dcd6500"],
    [1n, "000000000000000000000001"],
    [-1n, "ffffffffffffffff3b9ac9ff"],
  ])("an offset record of %d ns is %s", (offsetNs, hex) => {
    expect(Buffer.from(formatOffset(offsetNs)).toString("hex")).toBe(hex);
    expect(parseOffset(Buffer.from(hex, "hex"))).toBe(offsetNs);
  });

  test("offset records are refused when cut short or with a second of nanoseconds", () => {
    expect(parseOffset(new Uint8Array(11))).toBeUndefined();
    expect(parseOffset(Buffer.from("00000000000000003b9aca00", "hex"))).toBeUndefined();
    expect(() => formatOffset(NS << 63n)).toThrow(RangeError);
  });

  test("offset records are read in any pieces, and not beyond their end", () => {
    const posix = new FakePosix();
    const [readEnd, writeEnd] = posix.pipe();
    const input = Buffer.concat([formatOffset(-1n), Buffer.from("more")]);
    posix.setNonblocking(readEnd, true);
    posix.write(writeEnd, input.subarray(0, 5));
    let waits = 0;
    posix.waitReady = (_, interest) => {
      waits += 1;
      posix.write(writeEnd, input.subarray(5));
      return { readable: interest.readable === true, writable: false, hangup: false };
    };
    expect(parseOffset(readOffsetRecord(posix, readEnd))).toBe(-1n);
    expect(waits).toBe(1);
    posix.close(writeEnd);
    expect(Buffer.from(readOffsetRecord(posix, readEnd)).toString()).toBe("more");
  });

  test("offset records are the same after writing and reading", () => {
    const most = (1n << 63n) * NS;
    fc.assert(
      fc.property(fc.bigInt({ min: -most, max: most - 1n }), (offsetNs) => {
        expect(parseOffset(formatOffset(offsetNs))).toBe(offsetNs);
      }),
    );
  });
});

describe("the interval of an offset", () => {
  const nanoseconds = (most: bigint) => fc.bigInt({ min: 0n, max: most });

  test("the interval of an offset contains the true offset, however long the ways took", () => {
    const trips = fc.array(fc.tuple(nanoseconds(NS), nanoseconds(NS), nanoseconds(NS)), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.bigInt({ min: -1000n * NS, max: 1000n * NS }), trips, (offset, ways) => {
        const interval = new OffsetInterval(1n << 62n);
        let now = taiFromUnix(1_700_000_000n * NS);
        let before = Infinity;
        for (const [out, work, back] of ways) {
          const received = taiAt(now + offset + out);
          const [replied, returned] = [taiAt(received + work), taiAt(now + out + work + back)];
          interval.narrow({ sent: now, received, replied, returned });
          const { offsetNs, uncertaintyNs } = interval;
          expect(2n * (offset - offsetNs)).toBeLessThanOrEqual(uncertaintyNs + 1n);
          expect(2n * (offsetNs - offset)).toBeLessThanOrEqual(uncertaintyNs + 1n);
          expect(uncertaintyNs).toBeLessThanOrEqual(out + back);
          expect(Number(uncertaintyNs)).toBeLessThanOrEqual(before);
          before = Number(uncertaintyNs);
          now = taiAt(returned + 1n);
        }
      }),
    );
  });

  test("the interval of an offset leaves out values that contradict it", () => {
    const at = (ns: bigint) => taiAt(ns);
    const interval = new OffsetInterval(1000n);
    interval.narrow({ sent: at(0n), received: at(10n), replied: at(10n), returned: at(20n) });
    expect([interval.offsetNs, interval.uncertaintyNs]).toEqual([0n, 20n]);
    interval.narrow({ sent: at(0n), received: at(500n), replied: at(500n), returned: at(520n) });
    expect([interval.offsetNs, interval.uncertaintyNs]).toEqual([0n, 20n]);
    interval.narrow({ sent: at(0n), received: at(4n), replied: at(14n), returned: at(16n) });
    expect([interval.offsetNs, interval.uncertaintyNs]).toEqual([1n, 6n]);
  });

  test("the interval of an offset is a point after an exchange that took no time", () => {
    const [here, there] = [taiAt(0n), taiAt(7n)];
    const interval = new OffsetInterval(1000n);
    interval.narrow({ sent: here, received: there, replied: there, returned: here });
    expect([interval.offsetNs, interval.uncertaintyNs]).toEqual([7n, 0n]);
  });

  test("the interval of an offset is unbounded at first", () => {
    expect(new OffsetInterval(1000n).uncertaintyNs).toBe(2000n);
  });
});
