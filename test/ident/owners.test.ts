import { describe, expect, test, vi } from "vitest";

import { FakeClock } from "../support/fake-clock.ts";
import { connectionNames } from "../../src/ident/connection-table.ts";
import { ConnectionOwners } from "../../src/ident/owners.ts";
import { parseIp } from "../../src/net/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { HEADING, row } from "./tables.ts";

import type { ConnectionEntry } from "../../src/ident/index.ts";

const FAMILY_4 = connection("192.0.2.1", "192.0.2.7");
const FAMILY_6 = connection("2001:db8::1", "2001:db8::7");

function connection(local: string, remote: string, port = 23): ConnectionEntry {
  const [from, to] = [parseIp(local), parseIp(remote)];
  if (from === undefined || to === undefined) throw new TypeError("Not an IP address");
  return { local: { address: from, port: 8080 }, remote: { address: to, port } };
}

interface World {
  readonly posix: FakePosix;
  readonly clock: FakeClock;
  readonly owners: ConnectionOwners;
}

function world(ip4 = HEADING, ip6 = HEADING): World {
  const posix = new FakePosix();
  const clock = new FakeClock();
  posix.putFile("/proc/net/tcp", ip4);
  posix.putFile("/proc/net/tcp6", ip6);
  return { posix, clock, owners: new ConnectionOwners(posix, clock) };
}

function rowOf(what: ConnectionEntry, uid: number, table: 0 | 1 = 0): string {
  return row(connectionNames(what)[table] ?? "", uid);
}

describe("the owner of a connection", () => {
  test("the owner of a connection is in the table of its family", async () => {
    const { owners, posix } = world(rowOf(FAMILY_4, 1000), rowOf(FAMILY_6, 1001));
    const before = posix.openFds;
    expect(await owners.ownerOf(FAMILY_4)).toBe(1000);
    expect(posix.openFds).toEqual(before);
  });

  test("the owner of an IPv4 connection may be in the table of IPv6", async () => {
    const { owners } = world(HEADING, HEADING + rowOf(FAMILY_4, 1000, 1));
    expect(await owners.ownerOf(FAMILY_4)).toBe(1000);
  });

  test("the owner is unknown for any other pair of ends", async () => {
    const { owners } = world(rowOf(FAMILY_4, 1000));
    expect(await owners.ownerOf(connection("192.0.2.1", "192.0.2.8"))).toBeUndefined();
  });

  test("the owner of an IPv4 connection is found without a table of IPv6", async () => {
    const { owners, posix } = world(rowOf(FAMILY_4, 1000));
    posix.files.delete("/proc/net/tcp6");
    expect(await owners.ownerOf(FAMILY_4)).toBe(1000);
  });

  test("the owner cannot be found without any table, until there is one again", async () => {
    const { owners, posix, clock } = world();
    posix.failNext("open", "EACCES");
    await expect(owners.ownerOf(FAMILY_4)).rejects.toMatchObject({ code: "EACCES" });
    posix.putFile("/proc/net/tcp", rowOf(FAMILY_4, 1000));
    const later = owners.ownerOf(FAMILY_4);
    clock.advance(50);
    expect(await later).toBe(1000);
  });
});

describe("readings", () => {
  test("readings of the table answer all the queries that wait, and keep a distance", async () => {
    const { owners, posix, clock } = world(rowOf(FAMILY_4, 1000), rowOf(FAMILY_6, 1001));
    const open = vi.spyOn(posix, "open");
    expect(await owners.ownerOf(FAMILY_4)).toBe(1000);
    const answers = Array.from({ length: 100 }, (_, index) =>
      owners.ownerOf(index % 2 === 0 ? FAMILY_4 : FAMILY_6),
    );
    expect(open).toHaveBeenCalledTimes(2);
    clock.advance(49);
    expect(open).toHaveBeenCalledTimes(2);
    clock.advance(1);
    expect(new Set(await Promise.all(answers))).toEqual(new Set([1000, 1001]));
    expect(open).toHaveBeenCalledTimes(4);
    expect(clock.pendingTimers).toBe(0);
  });

  test("readings of the table let other work go on", async () => {
    const rows = rowOf(connection("192.0.2.1", "192.0.2.7", 24), 1).repeat(2000);
    const { owners, clock } = world(rows + rowOf(FAMILY_4, 1000));
    let uid: number | undefined;
    void owners.ownerOf(FAMILY_4).then((found) => (uid = found));
    let turns = 0;
    for (; uid === undefined && turns < 100; turns += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(0);
    }
    expect(uid).toBe(1000);
    expect(turns).toBeGreaterThan(3);
  });
});
