import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cdb, CdbError, cdbHash, CdbRuleSet } from "../../../src/access/index.ts";
import { formatAllow } from "../../../src/access/lookup/rule-value.ts";
import { cdbBytes, mustParseIp } from "../samples.ts";

import type { SampleRecord } from "../samples.ts";

const ONE_TWO_ONE: SampleRecord[] = [
  ["one", "Hello"],
  ["two", "Goodbye"],
  ["one", "Again"],
];

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("the hash", () => {
  test.each([
    ["", 0x00001505],
    ["a", 0x0002b5c4],
    ["one", 0x0b875b81],
    ["ip4/127.0.0.1_32", 0x98695ad2],
    ["ip4/0.0.0.0_0", 0x2cdc43a6],
    ["ip6/::1_128", 0xa85fa570],
    ["ip6/::_0", 0x377d746a],
    ["reversedns/@", 0x0436c2f3],
    ["uid/0", 0x0afc0c82],
    ["127.", 0x7c5406df],
    ["=", 0x0002b598],
  ])("the CDB hash of %o is the one that the format defines", (key, hash) => {
    expect(cdbHash(Buffer.from(key))).toBe(hash);
  });
});

describe("the writer", () => {
  const loopback = formatAllow(Buffer.from("FOO=bar\0"), Buffer.alloc(0));

  test.each<[string, SampleRecord[], number, string]>([
    ["no records", [], 2048, "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f"],
    [
      "a key twice",
      ONE_TWO_ONE,
      2146,
      "521cb8fcd7d4ff698e9812f55cbba5fd8175bcade8b21e3c30d0e12a528377c4",
    ],
    [
      "rules",
      [
        ["ip4/127.0.0.1_32", loopback],
        ["ip4/10.0.0.0_8", "D"],
      ],
      2140,
      "be7c54c88f296da2de1956c509187150595861bbf5c051303d97777f1e7a189f",
    ],
  ])(
    "the CDB writer makes the file of the other implementations: %s",
    (_, records, bytes, digest) => {
      const file = cdbBytes(records);
      expect(file.length).toBe(bytes);
      expect(sha256(file)).toBe(digest);
    },
  );

  test("the CDB writer writes records that are larger than its buffer", () => {
    const large = Buffer.alloc(700_001, "x");
    const file = new Cdb(
      cdbBytes([
        ["a", "b"],
        [large, large],
        ["c", "d"],
      ]),
    );
    file.verify();
    expect(file.find(large)?.length).toBe(large.length);
    expect(file.find(Buffer.from("c"))).toEqual(Buffer.from("d"));
  });
});

describe("the reader", () => {
  const cdb = new Cdb(cdbBytes(ONE_TWO_ONE));

  test("the CDB reader finds the earliest of several records", () => {
    expect(Buffer.from(cdb.find(Buffer.from("one")) ?? "").toString()).toBe("Hello");
  });

  test("the CDB reader finds all of them in order", () => {
    const all = [...cdb.findAll(Buffer.from("one"))];
    expect(all.map((value) => Buffer.from(value).toString())).toEqual(["Hello", "Again"]);
  });

  test("the CDB reader does not find what is not there", () => {
    expect(cdb.find(Buffer.from("three"))).toBeUndefined();
    expect([...cdb.findAll(Buffer.from(""))]).toEqual([]);
  });

  test("the CDB reader lists the records in the order of the file", () => {
    const keys = [...cdb.entries()].map(({ key }) => Buffer.from(key).toString());
    expect(keys).toEqual(["one", "two", "one"]);
  });

  test.each([0, 1, 100, 2047, 2048, 2060, 2145])(
    "the CDB reader refuses a file cut at %i bytes",
    (bytes) => {
      const cut = cdbBytes(ONE_TWO_ONE).subarray(0, bytes);
      expect(() => new Cdb(cut).verify()).toThrow(CdbError);
    },
  );

  test.each<[string, (file: Buffer) => unknown]>([
    ["whose records end within the header", (file) => file.writeUInt32LE(2047, 0)],
    ["of zeros, which is no empty database", (file) => file.fill(0)],
    [
      "without tables whose records end behind the file",
      (file) => {
        file.writeUInt32LE(file.length + 1, 0);
        for (const table of [41, 129]) file.writeUInt32LE(0, table * 8 + 4);
      },
    ],
    [
      "with a table among its records",
      (file) => {
        file.writeUInt32LE(2048, 129 * 8);
        file.writeUInt32LE(1, 129 * 8 + 4);
      },
    ],
    [
      "with a table that reaches past its end",
      (file) => file.writeUInt32LE(file.readUInt32LE(129 * 8) + 8, 129 * 8),
    ],
  ])("the CDB reader refuses a file %s, when it is opened", (_, damage) => {
    const file = cdbBytes(ONE_TWO_ONE);
    damage(file);
    expect(() => new Cdb(file)).toThrow(CdbError);
  });

  test("the CDB reader refuses tables that lie on each other", () => {
    const crafted = cdbBytes(ONE_TWO_ONE);
    const end = crafted.readUInt32LE(0);
    for (let table = 0; table < 256; table += 1) {
      crafted.writeUInt32LE(end, table * 8);
      crafted.writeUInt32LE(6, table * 8 + 4);
    }
    expect(() => new Cdb(crafted)).toThrow(CdbError);
  });
});

const records = fc.array(
  fc.tuple(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 40 })),
  { maxLength: 60 },
);

test("the records that the CDB writer wrote are those that the CDB reader reads", () => {
  fc.assert(
    fc.property(records, (written) => {
      const cdb = new Cdb(cdbBytes(written));
      cdb.verify();
      const read = [...cdb.entries()].map(({ key, value }) => [
        Buffer.from(key),
        Buffer.from(value),
      ]);
      expect(read).toEqual(written.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]));
      for (const [key] of written) {
        const values = written.filter(([other]) => Buffer.compare(other, key) === 0);
        expect([...cdb.findAll(key)].map((value) => Buffer.from(value))).toEqual(
          values.map(([, value]) => Buffer.from(value)),
        );
        expect(cdb.find(key)).toEqual(cdb.findAll(key).next().value);
      }
    }),
  );
});

describe("a damaged file", () => {
  const DENIED = ["10.0.0.1", "10.0.0.2", "192.0.2.200", "2001:db8::1"];
  const intact = cdbBytes([
    ["ip4/10.0.0.1_32", "D"],
    ["ip4/10.0.0.2_32", "D"],
    ["ip4/192.0.2.128_25", "D"],
    ["ip6/2001:db8::_32", "D"],
    ["ip4/0.0.0.0_0", formatAllow(Buffer.from("A=b\0"), Buffer.alloc(0))],
    ["ip6/::_0", formatAllow(Buffer.from(""), Buffer.from("true"))],
  ]);

  function admitted(bytes: Uint8Array): string[] {
    try {
      const rules = new CdbRuleSet(bytes);
      return DENIED.filter((ip) => rules.checkIp(mustParseIp(ip)).kind === "allow");
    } catch (error) {
      if (error instanceof CdbError) return [];
      throw error;
    }
  }

  test("a CDB file with any byte changed admits no client that the whole file denies", () => {
    // A value that is turned into neither A nor D is a rule that says nothing: the format cannot tell.
    const values = denyValuePositions(intact);
    for (let at = 0; at < intact.length; at += 1) {
      if (values.has(at)) continue;
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(intact);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect(admitted(damaged), `byte ${at}`).toEqual([]);
      }
    }
  });

  test("a CDB file cut anywhere admits no client that the whole file denies", () => {
    for (let bytes = 0; bytes < intact.length; bytes += 1) {
      expect(admitted(intact.subarray(0, bytes))).toEqual([]);
    }
  });

  test("a CDB file of any bytes gives an error or an answer, never anything else", () => {
    const words = fc.array(fc.tuple(fc.nat(intact.length - 1), fc.nat(255)), { maxLength: 20 });
    fc.assert(
      fc.property(words, fc.nat(4000), (changes, bytes) => {
        const damaged = Buffer.concat([intact, Buffer.alloc(2000)]).subarray(0, bytes);
        for (const [at, byte] of changes) if (at < damaged.length) damaged[at] = byte;
        admitted(damaged);
        try {
          const cdb = new Cdb(damaged);
          for (const { key } of cdb.entries()) [...cdb.findAll(key)].at(0);
          cdb.find(Buffer.from("ip4/10.0.0.1_32"));
        } catch (error) {
          expect(error).toBeInstanceOf(CdbError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function denyValuePositions(file: Buffer): Set<number> {
  const values = [...new Cdb(file).entries()].filter(({ value }) => value.length === 1);
  return new Set(values.map(({ key, position }) => position + 8 + key.length));
}
