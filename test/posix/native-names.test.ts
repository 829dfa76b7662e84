/** Names, clocks and words of the system, compared with what its files and tools say. */
import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import { run } from "./program.ts";

const posix = loadPosix();

test("an account by name and by number", () => {
  const root = posix.account("root");
  expect(root).toMatchObject({ name: "root", uid: 0, gid: 0 });
  expect(posix.account(0)).toEqual(root);
  const line = run(["getent", "passwd", "root"]).stdout.trim().split(":");
  expect([root?.home, root?.shell]).toEqual(line.slice(5));
});

test("nobody has an account that is not there", () => {
  expect(posix.account("no such user")).toBeUndefined();
  expect(posix.account(4_000_000_123)).toBeUndefined();
  expect(posix.group("no such group")).toBeUndefined();
  expect(posix.group(4_000_000_123)).toBeUndefined();
  expect(posix.groupsListing("no such user")).toEqual([]);
});

test("all groups and their members are as the database has them", () => {
  const lines = run(["getent", "group"]).stdout.trim().split("\n");
  const listing = new Map<string, number[]>();
  for (const line of lines) {
    const [name = "", , gid = "", members = ""] = line.split(":");
    const group = { name, gid: Number(gid), members: members.split(",").filter(Boolean) };
    expect(posix.group(name)).toEqual(group);
    for (const member of group.members) {
      listing.set(member, [...(listing.get(member) ?? []), group.gid]);
    }
  }
  for (const [member, gids] of listing) expect(posix.groupsListing(member)).toEqual(gids);
});

test("services have ports", () => {
  const known = /^(\S+)\s+(\d+)\/tcp/m.exec(readFileSync("/etc/services", "latin1"));
  expect(posix.servicePort(known?.[1] ?? "", "tcp")).toBe(Number(known?.[2]));
  expect(posix.servicePort("no such service", "tcp")).toBeUndefined();
});

test("the time is that of Node, to the nanosecond", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const now = posix.realtimeNs();
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  expect(now >= before && now <= after).toBe(true);
});

test("an errno name has words, another name stands for itself", () => {
  expect(posix.strerror("ECONNREFUSED")).toBe("Connection refused");
  expect(posix.strerror("ENOTANERRNO")).toBe("ENOTANERRNO");
});
