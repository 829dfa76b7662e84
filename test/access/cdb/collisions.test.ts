/**
 * Keys that are equal and keys that collide: files with very many of them are made, loaded and linted in
 * time that grows with the file and not with its square. The limits of these tests are far above what
 * that takes, and far below what anything quadratic does.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cdb, CdbError, cdbHash, CdbRuleSet, lintCdb } from "../../../src/access/index.ts";
import { TcpRulesCompiler } from "../../../src/access/index.ts";
import { cdbBytes, growingFile, mustParseIp } from "../samples.ts";

import type { SampleRecord } from "../samples.ts";

const MANY = 150_000;
const LIMIT_MS = 20_000;

const HEADER_BYTES = 2048;

/** A database by the letter of the format: each record in turn walks to its slot. */
function plainDatabase(records: readonly (readonly [string, string])[]): Buffer {
  const parts = records.map(([key, value]) => {
    const lengths = words(key.length, value.length);
    return Buffer.concat([lengths, Buffer.from(key), Buffer.from(value)]);
  });
  const positions = parts.map((_, at) => HEADER_BYTES + lengthOf(parts.slice(0, at)));
  const header: Buffer[] = [];
  const tables: Buffer[] = [];
  const recordsEnd = HEADER_BYTES + lengthOf(parts);
  for (let table = 0; table < 256; table += 1) {
    const own = records.flatMap(([key], at) => ((hashOf(key) & 255) === table ? [at] : []));
    header.push(words(recordsEnd + lengthOf(tables), 2 * own.length));
    const slots: (Buffer | undefined)[] = Array.from({ length: 2 * own.length }, () => undefined);
    for (const at of own) {
      const hash = hashOf(records[at]?.[0] ?? "");
      let slot = (hash >>> 8) % slots.length;
      while (slots[slot] !== undefined) slot = (slot + 1) % slots.length;
      slots[slot] = words(hash, positions[at] ?? 0);
    }
    tables.push(Buffer.concat(slots.map((slot) => slot ?? words(0, 0))));
  }
  return Buffer.concat([...header, ...parts, ...tables]);
}

function words(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [at, number] of numbers.entries()) bytes.writeUInt32LE(number, 4 * at);
  return bytes;
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function hashOf(key: string): number {
  return cdbHash(Buffer.from(key));
}

/** Few different keys, so that many are equal and tables are crowded. */
const keys = fc.oneof(
  fc.constantFrom("", "a", "b", "one", "two"),
  fc.string({ maxLength: 2, unit: fc.constantFrom("a", "b", "c", "d") }),
);

test("a file with crowded tables is the one that the format describes", () => {
  const records = fc.array(fc.tuple(keys, fc.constantFrom("", "x", "yz")), { maxLength: 300 });
  fc.assert(
    fc.property(records, (written) => {
      expect(cdbBytes(written).equals(plainDatabase(written))).toBe(true);
    }),
  );
});

/** Is each record found where a look-up of its key gets to, and is every other slot empty? */
function isSoundByDefinition(bytes: Buffer): boolean {
  const cdb = new Cdb(bytes);
  const recordsEnd = bytes.readUInt32LE(0);
  const positions: number[] = [];
  let end = HEADER_BYTES;
  for (const { key, value, position } of cdb.entries()) {
    end = position + 8 + key.length + value.length;
    positions.push(position);
    const hash = cdbHash(key);
    const start = bytes.readUInt32LE((hash & 255) * 8);
    const count = bytes.readUInt32LE((hash & 255) * 8 + 4);
    let isReached = false;
    for (let step = 0; step < count && !isReached; step += 1) {
      const slot = start + (((hash >>> 8) + step) % count) * 8;
      if (bytes.readUInt32LE(slot + 4) === 0) break;
      isReached = bytes.readUInt32LE(slot + 4) === position && bytes.readUInt32LE(slot) === hash;
    }
    if (!isReached) return false;
  }
  let taken = 0;
  for (let table = 0; table < 256; table += 1) {
    const start = bytes.readUInt32LE(table * 8);
    const count = bytes.readUInt32LE(table * 8 + 4);
    for (let slot = 0; slot < count; slot += 1) {
      if (bytes.readUInt32LE(start + slot * 8 + 4) !== 0) taken += 1;
    }
  }
  return end === recordsEnd && taken === positions.length;
}

function isAccepted(bytes: Buffer): boolean {
  try {
    new Cdb(bytes).verify();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(CdbError);
    return false;
  }
}

describe("a file is sound", () => {
  const samples = [
    [["one", "1"]],
    [
      ["one", "1"],
      ["one", "2"],
    ],
    [
      ["one", "1"],
      ["two", "2"],
      ["one", "3"],
      ["", ""],
      ["ab", "4"],
      ["one", "5"],
    ],
  ] as const;

  test("exactly where each look-up gets to its record and no slot leads elsewhere", () => {
    const changes = fc.array(
      fc.tuple(
        fc.nat(400),
        fc.oneof(fc.nat(3000), fc.constantFrom(0, 2048, 2 ** 32 - 1), fc.nat(400)),
      ),
      { maxLength: 3 },
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.constantFrom(...samples), changes, fc.boolean(), (records, edits, copies) => {
        const bytes = cdbBytes(records);
        const first = bytes.readUInt32LE(0);
        for (const [at, number] of edits) {
          // Words behind the records: hashes and positions of slots. A copy moves one slot's word.
          const to = first + 4 * (at % ((bytes.length - first) / 4));
          const from = first + 4 * (number % ((bytes.length - first) / 4));
          bytes.writeUInt32LE(copies ? bytes.readUInt32LE(from) : number, to);
        }
        const isSound = isSoundByDefinition(bytes);
        if (isSound) accepted += 1;
        expect(isAccepted(bytes)).toBe(isSound);
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  test("exactly then, however whole slots are moved about", () => {
    const swaps = fc.array(fc.tuple(fc.nat(100), fc.nat(100)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...samples), swaps, (records, pairs) => {
        const bytes = cdbBytes(records);
        const first = bytes.readUInt32LE(0);
        const count = (bytes.length - first) / 8;
        for (const [a, b] of pairs) {
          const [one, other] = [first + 8 * (a % count), first + 8 * (b % count)];
          const kept = Buffer.from(bytes.subarray(one, one + 8));
          bytes.copyWithin(one, other, other + 8);
          bytes.set(kept, other);
        }
        expect(isAccepted(bytes)).toBe(isSoundByDefinition(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test("not where a record has no slot in its table", () => {
    const bytes = cdbBytes([
      ["one", "1"],
      ["two", "2"],
    ]);
    expect(isAccepted(bytes)).toBe(true);
    bytes.writeUInt32LE(0, (hashOf("two") & 255) * 8 + 4);
    expect(isAccepted(bytes)).toBe(false);
  });

  test("also where its tables have no empty slot, and a look-up goes all the way round", () => {
    // `one` twice in a table of two slots, in each of the two orders.
    const intact = cdbBytes([
      ["one", "1"],
      ["one", "2"],
    ]);
    const tables = intact.readUInt32LE(0);
    const pairs = [0, 8, 16, 24]
      .map((at) => intact.subarray(tables + at, tables + at + 8))
      .filter((pair) => pair.readUInt32LE(4) !== 0);
    for (const order of [pairs, pairs.toReversed()]) {
      const full = Buffer.concat([intact.subarray(0, tables), ...order]);
      for (let table = 0; table < 256; table += 1) {
        const count = full.readUInt32LE(table * 8 + 4);
        full.writeUInt32LE(tables, table * 8);
        full.writeUInt32LE(count === 0 ? 0 : 2, table * 8 + 4);
      }
      expect(isAccepted(full)).toBe(true);
      const cdb = new Cdb(full);
      const found = cdb.find(Buffer.from("one"));
      const [first] = cdb.byLookup();
      expect(first?.value).toEqual(found);
      expect(cdb.overridden().size).toBe(1);
      const [[, deciding] = [0, 0]] = cdb.overridden();
      expect(cdb.recordAt(deciding).value).toEqual(found);
    }
  });
});

test("the records that no look-up finds are those that an earlier one with their key hides", () => {
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 200 }), (written) => {
      const cdb = new Cdb(cdbBytes(written.map((key, at) => [key, String(at)])));
      const hidden = written.flatMap((key, at) => {
        const first = written.indexOf(key);
        return first === at ? [] : [`${first} hides ${at}`];
      });
      const value = (position: number): string =>
        Buffer.from(cdb.recordAt(position).value).toString();
      const overridden = [...cdb.overridden()].map(
        ([position, deciding]) => `${value(deciding)} hides ${value(position)}`,
      );
      expect(overridden.sort()).toEqual(hidden.sort());
    }),
  );
});

describe("very many records", () => {
  test(
    "with one key are compiled from text, loaded and linted",
    () => {
      const file = growingFile();
      const compiler = new TcpRulesCompiler("s6", file, () => {});
      compiler.push(Buffer.from("10.1.2.3:allow\n".repeat(MANY)));
      compiler.finish();
      const rules = new CdbRuleSet(file.bytes());
      for (let check = 0; check < 20_000; check += 1) {
        expect(rules.checkIp(mustParseIp("10.1.2.3")).kind).toBe("allow");
      }
      expect(rules.checkIp(mustParseIp("10.1.2.4")).kind).toBe("notFound");
      expect(lintCdb(file.bytes())).toHaveLength(MANY - 1);
    },
    LIMIT_MS,
  );

  test(
    "with different keys of one hash are written, loaded and linted",
    () => {
      const collidingKeys = keysOfOneHash(15);
      const records: SampleRecord[] = collidingKeys.map((key) => [key, "D"]);
      const hashes = new Set(collidingKeys.map((key) => cdbHash(key)));
      expect([hashes.size, new Set(collidingKeys.map(String)).size]).toEqual([1, 2 ** 15]);
      const file = cdbBytes([...records, ...records]);
      const cdb = new Cdb(file);
      expect(cdb.verify()).toBe(2 ** 16);
      expect(cdb.overridden().size).toBe(2 ** 15);
      expect(new CdbRuleSet(file).checkReverseDns("example.org").kind).toBe("notFound");
      expect(lintCdb(file).filter(({ code }) => code === "duplicate")).toHaveLength(2 ** 15);
    },
    LIMIT_MS,
  );

  test(
    "a name of very many labels is linted",
    () => {
      const name = "a.".repeat(500_000);
      const findings = lintCdb(cdbBytes([[`reversedns/${name}b`, "D"]]));
      expect(findings.map(({ code }) => code)).toEqual(["too-long"]);
    },
    LIMIT_MS,
  );
});

/** 2 ** `pairs` keys of one hash: at each step two pairs of letters lead from one state to the same. */
function keysOfOneHash(pairs: number): Buffer[] {
  let keysSoFar = [Buffer.from("reversedns/")];
  let state = cdbHash(keysSoFar[0] ?? Buffer.alloc(0));
  while (keysSoFar.length < 2 ** pairs) {
    const meeting = findMeeting(state);
    if (meeting === undefined) {
      keysSoFar = keysSoFar.map((key) => Buffer.concat([key, Buffer.from("x")]));
      state = nextState(state, 0x78);
    } else {
      keysSoFar = keysSoFar.flatMap((key) =>
        meeting.endings.map((ending) => Buffer.concat([key, ending])),
      );
      state = meeting.state;
    }
  }
  return keysSoFar;
}

function findMeeting(
  state: number,
): { readonly endings: Buffer[]; readonly state: number } | undefined {
  const seen = new Map<number, Buffer>();
  for (let first = 0x61; first <= 0x7a; first += 1) {
    for (let second = 0x30; second <= 0x7a; second += 1) {
      const reached = nextState(nextState(state, first), second);
      const ending = Buffer.from([first, second]);
      const other = seen.get(reached);
      if (other !== undefined) return { endings: [other, ending], state: reached };
      seen.set(reached, ending);
    }
  }
  return undefined;
}

function nextState(state: number, byte: number): number {
  return (Math.imul(state, 33) ^ byte) >>> 0;
}
