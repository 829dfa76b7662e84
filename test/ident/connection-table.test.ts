import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  connectionNames,
  parseTableRow,
  TABLE_ROW_BYTES_MAX,
  TableScanner,
} from "../../src/ident/connection-table.ts";
import { parseIp } from "../../src/net/index.ts";
import { HEADING, row } from "./tables.ts";

import type { ByteOrder } from "../../src/ident/connection-table.ts";
import type { Endpoint } from "../../src/net/index.ts";

function endpoint(ip: string, port: number): Endpoint {
  const address = parseIp(ip);
  if (address === undefined) throw new TypeError(`Not an IP address: ${ip}`);
  return { address, port };
}

function names(local: string, remote: string, order: ByteOrder): readonly string[] {
  return connectionNames({ local: endpoint(local, 8080), remote: endpoint(remote, 23) }, order);
}

describe("the names of a connection", () => {
  test("the names of an IPv4 connection are in both tables", () => {
    expect(names("127.0.0.1", "192.0.2.7", "LE")).toEqual([
      "0100007F:1F90 070200C0:0017",
      "0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF0000070200C0:0017",
    ]);
    expect(names("::ffff:127.0.0.1", "::ffff:192.0.2.7", "LE")).toEqual(
      names("127.0.0.1", "192.0.2.7", "LE"),
    );
  });

  test("the names of an IPv6 connection are in one table", () => {
    expect(names("2001:db8::1", "::1", "LE")).toEqual([
      "B80D0120000000000000000001000000:1F90 00000000000000000000000001000000:0017",
    ]);
  });

  test("the names of a connection follow the byte order of the machine", () => {
    expect(names("127.0.0.1", "192.0.2.7", "BE")).toEqual([
      "7F000001:1F90 C0000207:0017",
      "00000000000000000000FFFF7F000001:1F90 00000000000000000000FFFFC0000207:0017",
    ]);
  });

  test("a connection between two families has no names in the tables", () => {
    expect(names("127.0.0.1", "::1", "LE")).toEqual([]);
  });
});

describe("a row", () => {
  const name = "0100007F:1F90 070200C0:0017";

  test("a row gives name and owner", () => {
    expect(parseTableRow(row(name, 1000).trimEnd())).toEqual({ name, uid: 1000 });
    expect(parseTableRow(row(name, 4_294_967_295))).toEqual({ name, uid: 4_294_967_295 });
  });

  test("a row without an inode has no owner, and is not root's", () => {
    expect(parseTableRow(row(name, 0, 0))).toBeUndefined();
  });

  test.each([HEADING, "", "   0: ", row(name, 1).slice(0, 60), row("0100007F:1F9 x", 1)])(
    "the text %j is no row",
    (text) => {
      expect(parseTableRow(text)).toBeUndefined();
    },
  );
});

describe("the scanner", () => {
  const wanted = "0100007F:1F90 070200C0:0017";
  const other = "0100007F:1F91 070200C0:0017";

  function scan(pieces: readonly Uint8Array[]): Map<string, number> {
    const scanner = new TableScanner(new Set([wanted]));
    for (const piece of pieces) scanner.push(piece);
    return scanner.owners;
  }

  test("the scanner finds the wanted row, and no other", () => {
    const table = HEADING + row(other, 1) + row(wanted, 2) + row(wanted, 0, 0);
    expect(scan([Buffer.from(table)])).toEqual(new Map([[wanted, 2]]));
  });

  test("the scanner passes over a row that is too long, and goes on behind it", () => {
    const long = `${row(wanted, 1).trimEnd()}${"x".repeat(TABLE_ROW_BYTES_MAX)}\n`;
    expect(scan([Buffer.from(long + row(wanted, 2))])).toEqual(new Map([[wanted, 2]]));
    expect(scan([Buffer.from(long)])).toEqual(new Map());
  });

  test("the scanner finds the same in whatever pieces the table arrives", () => {
    const line = fc.oneof(
      fc.constantFrom(HEADING, row(wanted, 1), row(other, 2), row(wanted, 3, 0), "\n"),
      fc.string({ maxLength: 700 }),
      fc.integer({ min: 480, max: 540 }).map((size) => `${row(wanted, 5).padEnd(size, "x")}\n`),
    );
    const table = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(lines.join("")));
    fc.assert(
      fc.property(table, fc.array(fc.nat(6000)), (bytes, cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = places.map((place, index) => bytes.subarray(place, places[index + 1]));
        expect(scan(pieces)).toEqual(scan([bytes]));
      }),
    );
  });

  test("the scanner takes any bytes without failing", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2000 })), (pieces) => {
        expect(scan(pieces).size).toBe(0);
      }),
    );
  });
});
