import { execFileSync } from "node:child_process";
import { renameSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CdbRules } from "../../../src/access/index.ts";
import { cdbBytes, mustParseIp, NodeFiles, sampleValue, TemporaryDirectory } from "../samples.ts";

import type { FileVersion } from "../../../src/posix/index.ts";

const CLIENT = mustParseIp("192.0.2.1");
const ALLOWING = cdbBytes([["ip4/192.0.2.1_32", sampleValue("allow")]]);
const DENYING = cdbBytes([["ip4/192.0.2.1_32", sampleValue("deny")]]);

/** A rules file in a directory, and the rules in it. */
function served(content: Uint8Array, files = new NodeFiles()) {
  const directory = new TemporaryDirectory();
  directory.write({ "rules.cdb": content });
  const path = directory.file("rules.cdb");
  const rules = new CdbRules(files, path);
  return {
    path,
    files,
    verdict: () => rules.checkIp(CLIENT).kind,
    rules,
    replace(bytes: Uint8Array) {
      directory.write({ "new.cdb": bytes });
      renameSync(directory.file("new.cdb"), path);
    },
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

describe("rules in a file", () => {
  test("a file of rules that is replaced gives the new rules from the next check on", () => {
    using it = served(ALLOWING);
    expect(it.verdict()).toBe("allow");
    it.replace(DENYING);
    expect(it.verdict()).toBe("deny");
    it.replace(ALLOWING);
    expect(it.verdict()).toBe("allow");
  });

  test("a file of rules that is deleted refuses every client until it is back", () => {
    using it = served(ALLOWING);
    expect(it.verdict()).toBe("allow");
    unlinkSync(it.path);
    expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "error", code: "ENOENT" });
    expect(it.rules.checkReverseDns("a")).toMatchObject({ kind: "error", code: "ENOENT" });
    expect(it.rules.probe("uid/0")).toMatchObject({ kind: "error", code: "ENOENT" });
    expect(it.rules.checkUidGid({ uid: 0, gid: 0, serverUid: 0, serverGid: 0 })).toMatchObject({
      kind: "error",
      code: "ENOENT",
    });
    it.replace(ALLOWING);
    expect(it.verdict()).toBe("allow");
  });

  test.each([0, 100, 2048, 2060])(
    "a file of rules that is cut to %i bytes refuses every client",
    (bytes) => {
      using it = served(ALLOWING);
      expect(it.verdict()).toBe("allow");
      it.replace(ALLOWING.subarray(0, bytes));
      expect(it.verdict()).toBe("error");
      it.replace(DENYING);
      expect(it.verdict()).toBe("deny");
    },
  );

  test("a directory in the place of a file of rules refuses every client", () => {
    using directory = new TemporaryDirectory();
    expect(new CdbRules(new NodeFiles(), directory.path).checkIp(CLIENT).kind).toBe("error");
  });

  test("a fifo in the place of a file of rules refuses every client, at once", () => {
    using directory = new TemporaryDirectory();
    execFileSync("mkfifo", [directory.file("rules.cdb")]);
    const rules = new CdbRules(new NodeFiles(), directory.file("rules.cdb"));
    expect(rules.checkIp(CLIENT)).toMatchObject({ kind: "error", code: "EINVAL" });
  });

  test("a CDB file of which whole slots are moved about is sound exactly where each look-up gets to its record", () => {
    using it = served(ALLOWING);
    it.files.openFailure = "EMFILE";
    for (let check = 0; check < 2; check += 1) {
      expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "error", code: "EMFILE" });
    }
    it.files.openFailure = undefined;
    expect(it.verdict()).toBe("allow");
  });

  test("a file of rules that could not be read once never gives the rules from before", () => {
    using it = served(ALLOWING);
    expect(it.verdict()).toBe("allow");
    it.replace(DENYING);
    it.files.openFailure = "EIO";
    expect(it.verdict()).toBe("error");
    it.files.openFailure = undefined;
    expect(it.verdict()).toBe("deny");
  });

  test("a file of rules that is damaged is not read again before it changes", () => {
    using it = served(Buffer.from("no database"));
    expect(it.verdict()).toBe("error");
    const { opened } = it.files;
    expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "error", code: undefined });
    expect(it.files.opened).toBe(opened);
    it.replace(ALLOWING);
    expect(it.verdict()).toBe("allow");
  });

  test("a file of rules that is longer than a database can be is an error, and is not read", () => {
    using it = served(ALLOWING);
    truncateSync(it.path, 2 ** 32);
    expect(it.rules.checkIp(CLIENT)).toMatchObject({
      kind: "error",
      why: expect.stringContaining("longer than a CDB can be"),
    });
  });

  test("a file of rules is not read again while it stays as it is", () => {
    using it = served(ALLOWING);
    expect(it.verdict()).toBe("allow");
    it.files.openFailure = "EIO";
    const asked = it.files.versionsAsked;
    for (let check = 0; check < 10; check += 1) expect(it.verdict()).toBe("allow");
    expect(it.files.versionsAsked).toBe(asked + 10);
  });
});

/** Versions that never change, whatever happens to the file: a clock that ticks too slowly. */
class FrozenVersions extends NodeFiles {
  #frozen: FileVersion | undefined;

  override fileVersion(path: string): FileVersion | string {
    const version = super.fileVersion(path);
    if (typeof version === "string") return version;
    this.#frozen ??= version;
    return this.#frozen;
  }

  get changedNs(): bigint {
    const { ctimeSeconds = 0, ctimeNanoseconds = 0 } = this.#frozen ?? {};
    return BigInt(ctimeSeconds) * 1_000_000_000n + BigInt(ctimeNanoseconds);
  }
}

describe("recent changes", () => {
  test("a file that changed right before it was read is read again, as its time stamp could not show another change", () => {
    const files = new FrozenVersions();
    using it = served(ALLOWING, files);
    files.fileVersion(it.path);
    files.nowNs = files.changedNs + 20_000_000n;
    expect(it.verdict()).toBe("allow");
    writeFileSync(it.path, DENYING);
    expect(it.verdict()).toBe("deny");
  });

  test("a file that changed right before it was read is trusted once that was long enough ago", () => {
    const files = new FrozenVersions();
    using it = served(ALLOWING, files);
    files.fileVersion(it.path);
    files.nowNs = files.changedNs + 20_000_000n;
    expect(it.verdict()).toBe("allow");
    files.nowNs += 1_000_000_000n;
    expect(it.verdict()).toBe("allow");
    writeFileSync(it.path, DENYING);
    expect(it.verdict()).toBe("allow");
  });
});
