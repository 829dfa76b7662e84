/** A look at a file tells whether it has changed since, unless it was changed too shortly before. */
import { expect, test } from "vitest";

import { lookAt, stillHolds } from "../../src/posix/index.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { FileVersion } from "../../src/posix/posix.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { temporaryFolder } from "./program.ts";

const CHANGED_SECONDS = 1;
const MS = 1_000_000n;
const CHANGED_NS = BigInt(CHANGED_SECONDS) * 1000n * MS;

/** A fake kernel with a file that was changed this long ago. */
function changedAgo(ns: bigint): FakePosix {
  const fake = new FakePosix();
  fake.putFile("/file", "content");
  expect(fake.fileVersion("/file")).toMatchObject({ ctimeSeconds: CHANGED_SECONDS });
  fake.nowNs = CHANGED_NS + ns;
  return fake;
}

test.each([
  [50n * MS, true],
  [50n * MS - 1n, false],
  [0n, false],
  [-50n * MS + 1n, false],
  [-50n * MS, true],
])("a reading %d ns after the last change is reliable: %s", (ns, isRelied) => {
  const fake = changedAgo(ns);
  const look = lookAt(fake, "/file");
  expect(stillHolds(look, fake.fileVersion("/file"))).toBe(isRelied);
});

test("a replaced, changed, removed or new file does not have the same version", () => {
  const fake = changedAgo(1000n * MS);
  const look = lookAt(fake, "/file");
  expect(stillHolds(look, fake.fileVersion("/file"))).toBe(true);
  fake.files.get("/file")?.change(Buffer.from("other"));
  expect(stillHolds(look, fake.fileVersion("/file"))).toBe(false);
  fake.files.delete("/file");
  expect(stillHolds(look, fake.fileVersion("/file"))).toBe(false);
  const absent = lookAt(fake, "/file");
  expect(stillHolds(absent, fake.fileVersion("/file"))).toBe(true);
  expect(stillHolds(absent, "EACCES")).toBe(false);
  fake.putFile("/file", "content");
  expect(stillHolds(absent, fake.fileVersion("/file"))).toBe(false);
});

test("every part of a version distinguishes versions", () => {
  const fake = changedAgo(1000n * MS);
  const version = fake.fileVersion("/file");
  if (typeof version === "string") throw new Error(version);
  const look = lookAt(fake, "/file");
  for (const part of Object.keys(version) as (keyof FileVersion)[]) {
    expect(stillHolds(look, { ...version, [part]: version[part] + 1 }), part).toBe(false);
  }
});

test("a file that was written just now may change again unseen", () => {
  const posix = loadPosix();
  const path = temporaryFolder().file("fresh");
  posix.close(posix.open(path, "write", { create: 0o600 }));
  expect(lookAt(posix, path).isRacy).toBe(true);
  expect(lookAt(posix, "/proc/self/no such file").isRacy).toBe(false);
});
