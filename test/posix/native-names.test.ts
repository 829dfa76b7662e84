/** Names, clocks and words of the system, compared with what its files and tools say. */
import { readFileSync, writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import { fixtureCommand, inheritedEnvironment, IS_ROOT, run, temporaryFolder } from "./program.ts";

const posix = loadPosix();

test("an account is found by name and by number", () => {
  const root = posix.account("root");
  expect(root).toMatchObject({ name: "root", uid: 0, gid: 0 });
  expect(posix.account(0)).toEqual(root);
  const line = run(["getent", "passwd", "root"]).stdout.trim().split(":");
  expect([root?.home, root?.shell]).toEqual(line.slice(5));
});

test("no account is found for a name or number that does not exist", () => {
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

const unshare = ["unshare", "-m", "sh", "-c"];
const hasMounts =
  IS_ROOT && run([...unshare, "mount --bind /etc/group /etc/group && echo yes"]).stdout === "yes\n";

test.skipIf(!hasMounts)(
  `entries longer than any room at first are found${hasMounts ? "" : " (skipped: no mount namespace)"}`,
  () => {
    const folder = temporaryFolder();
    const members = Array.from({ length: 5000 }, (_, index) => `somebody${index}`).join(",");
    const aliases = Array.from({ length: 1000 }, (_, index) => `alias-number-${index}-of-them`);
    const files = {
      group: `first:x:6000:member\nbig:x:6001:${members},member\nlast:x:6002:member\n`,
      passwd: `root:x:0:0::/:/bin/sh\nlonghome:x:6000:6000::/${"x".repeat(9000)}:/bin/sh\n`,
      services: `aliased 6003/tcp ${aliases.join(" ")}\n`,
    };
    const mounts = Object.entries(files).map(([name, text]) => {
      writeFileSync(folder.file(name), text);
      return `mount --bind '${folder.file(name)}' /etc/${name}`;
    });
    const words = fixtureCommand("long-entries").map((word) => `'${word}'`);
    const script = `${mounts.join(" && ")} && exec ${words.join(" ")}`;
    expect(JSON.parse(run([...unshare, script], { env: inheritedEnvironment() }).stdout)).toEqual({
      listing: [6000, 6001, 6002],
      others: [],
      members: 5001,
      byNumber: "big",
      account: 9001,
      port: 6003,
      byAlias: 6003,
    });
  },
);

test("the time is that of Node, to the nanosecond", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const now = posix.realtimeNs();
  const after = BigInt(Date.now() + 1) * 1_000_000n;
  expect(now >= before && now <= after).toBe(true);
});

test("an errno name has a text, and another name stands for itself", () => {
  expect(posix.strerror("ECONNREFUSED")).toBe("Connection refused");
  expect(posix.strerror("ENOTANERRNO")).toBe("ENOTANERRNO");
});
