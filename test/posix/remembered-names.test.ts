/** Names are looked up once for each change of the files that decide, and no more than 10 s are they old. */
import { expect, test } from "vitest";

import { NAMES_REMEMBERED_MAX, rememberedNames } from "../../src/posix/index.ts";
import { loadPosix } from "../../src/posix/native.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { codeOf } from "./program.ts";

const SECOND_NS = 1_000_000_000n;

class CountingNames extends FakePosix {
  asked = 0;

  constructor() {
    super();
    for (const name of ["passwd", "group", "nsswitch.conf"]) this.putFile(`/etc/${name}`, "");
    this.accounts.push({ name: "joe", uid: 7, gid: 8, home: "/home/joe", shell: "/bin/sh" });
    this.groups.push({ name: "staff", gid: 9, members: ["joe"] });
    this.nowNs = 100n * SECOND_NS;
  }

  override account(key: string | number): ReturnType<FakePosix["account"]> {
    this.asked++;
    return super.account(key);
  }

  override group(key: string | number): ReturnType<FakePosix["group"]> {
    this.asked++;
    return super.group(key);
  }

  override groupsListing(account: string): ReturnType<FakePosix["groupsListing"]> {
    this.asked++;
    return super.groupsListing(account);
  }
}

function askAll(posix: CountingNames): unknown[] {
  const names = rememberedNames(posix);
  return [
    names.account("joe")?.uid,
    names.account(7)?.name,
    names.account("7")?.uid,
    names.group("staff")?.gid,
    names.group(9)?.name,
    names.groupsListing("joe"),
  ];
}

test("each name is looked up once while the files are the same", () => {
  const posix = new CountingNames();
  const answers = askAll(posix);
  expect(answers).toEqual([7, "joe", undefined, 9, "staff", [9]]);
  for (let round = 0; round < 10; round++) expect(askAll(posix)).toEqual(answers);
  expect(posix.asked).toBe(6);
});

test.each(["passwd", "group", "nsswitch.conf"])(
  "a change of /etc/%s expires all answers",
  (file) => {
    const posix = new CountingNames();
    askAll(posix);
    posix.accounts.splice(0, 1, { name: "joe", uid: 70, gid: 8, home: "", shell: "" });
    expect(rememberedNames(posix).account("joe")?.uid).toBe(7);
    posix.putFile(`/etc/${file}`, "changed");
    expect(rememberedNames(posix).account("joe")?.uid).toBe(70);
  },
);

test("an answer is no older than 10 seconds, and none is kept when the clock went back", () => {
  const posix = new CountingNames();
  askAll(posix);
  posix.accounts.length = 0;
  posix.nowNs += 10n * SECOND_NS;
  expect(rememberedNames(posix).account("joe")?.uid).toBe(7);
  posix.nowNs += 1n;
  expect(rememberedNames(posix).account("joe")).toBeUndefined();
  posix.accounts.push({ name: "joe", uid: 71, gid: 8, home: "", shell: "" });
  posix.nowNs -= 1n * SECOND_NS;
  expect(rememberedNames(posix).account("joe")?.uid).toBe(71);
});

test("an answer from files that changed just now is looked up again", () => {
  const posix = new CountingNames();
  posix.nowNs = 1n * SECOND_NS; // when the files of the fake were made
  askAll(posix);
  askAll(posix);
  expect(posix.asked).toBe(36 / 3);
});

test("a failure is not remembered", () => {
  const posix = new CountingNames();
  posix.failNext("account", "EIO");
  expect(codeOf(() => rememberedNames(posix).account("joe"))).toBe("EIO");
  expect(rememberedNames(posix).account("joe")?.uid).toBe(7);
});

test("the number of answers that are kept is bounded", () => {
  const posix = new CountingNames();
  const names = rememberedNames(posix);
  for (let uid = 0; uid < NAMES_REMEMBERED_MAX; uid++) names.account(uid);
  names.account(0);
  expect(posix.asked).toBe(NAMES_REMEMBERED_MAX);
  names.account("one more");
  names.account(0);
  expect(posix.asked).toBe(NAMES_REMEMBERED_MAX + 2);
});

test("the names of this machine are those that are cached", () => {
  const posix = loadPosix();
  expect(rememberedNames(posix).account("root")).toEqual(posix.account("root"));
  expect(rememberedNames(posix)).toBe(rememberedNames(posix));
});
