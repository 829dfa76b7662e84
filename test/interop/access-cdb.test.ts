/** Our CDB files against the tools of tinycdb and freecdb, both ways. */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cdb } from "../../src/access/index.ts";
import { cdbBytes, TemporaryDirectory } from "../access/samples.ts";
import { peer } from "../support/scene.ts";

import type { SampleRecord } from "../access/samples.ts";

const tinycdb = peer("cdb");
const cdbmake = peer("cdbmake");
const cdbdump = peer("cdbdump");
const cdbget = peer("cdbget");

const blob = fc.uint8Array({ maxLength: 20 });
const recordLists: fc.Arbitrary<SampleRecord[]> = fc.array(fc.tuple(blob, blob), { maxLength: 50 });

/** The text form of records that all these tools share: `+KLEN,DLEN:KEY->DATA`. */
function dumpOf(records: readonly SampleRecord[]): Buffer {
  const parts = records.flatMap(([key, value]) => [
    Buffer.from(`+${key.length},${value.length}:`),
    Buffer.from(key),
    Buffer.from("->"),
    Buffer.from(value),
    Buffer.from("\n"),
  ]);
  return Buffer.concat([...parts, Buffer.from("\n")]);
}

describe.skipIf(tinycdb.isMissing)(`tinycdb${tinycdb.why}`, () => {
  test("tinycdb makes files that we read, and reads ours", () => {
    using directory = new TemporaryDirectory();
    const [made, written] = [directory.file("made.cdb"), directory.file("written.cdb")];
    fc.assert(
      fc.property(recordLists, (records) => {
        spawnSync(tinycdb.path, ["-c", made], { input: dumpOf(records) });
        expect(recordsOf(readFileSync(made))).toEqual(recordsIn(records));
        writeFileSync(written, cdbBytes(records));
        expect(spawnSync(tinycdb.path, ["-d", written]).stdout).toEqual(dumpOf(records));
      }),
      { numRuns: 40 },
    );
  });
});

describe.skipIf(cdbmake.isMissing || cdbdump.isMissing)(`freecdb${cdbmake.why}`, () => {
  test("freecdb makes the very files we make", () => {
    using directory = new TemporaryDirectory();
    const files = [directory.file("made.cdb"), directory.file("made.tmp")];
    fc.assert(
      fc.property(recordLists, (records) => {
        spawnSync(cdbmake.path, files, { input: dumpOf(records) });
        expect(cdbBytes(records)).toEqual(readFileSync(files[0] ?? ""));
      }),
      { numRuns: 40 },
    );
  });

  test("freecdb dumps our files and finds our keys", () => {
    const records: SampleRecord[] = [
      [Buffer.from("one"), Buffer.from("Hello")],
      [Buffer.from("two"), Buffer.from("Goodbye")],
      [Buffer.from("one"), Buffer.from("Again")],
    ];
    const input = cdbBytes(records);
    using directory = new TemporaryDirectory();
    writeFileSync(directory.file("file"), input);
    const run = (tool: string, ...words: string[]) =>
      spawnSync("/bin/sh", ["-c", 'exec "$0" "$@" <file', tool, ...words], {
        cwd: directory.path,
      }).stdout.toString();
    expect(run(cdbdump.path)).toBe(dumpOf(records).toString());
    expect(run(cdbget.path, "two")).toContain("Goodbye");
  });
});

function recordsOf(bytes: Uint8Array): Buffer[][] {
  const cdb = new Cdb(bytes);
  cdb.verify();
  return [...cdb.entries()].map(({ key, value }) => [Buffer.from(key), Buffer.from(value)]);
}

function recordsIn(records: readonly SampleRecord[]): Buffer[][] {
  return records.map(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
}
