import { describe, expect, test } from "vitest";
import { decide, openRules } from "../../../src/access/index.ts";
import { scriptWords } from "../../../src/access/admission/script.ts";
import { cdbBytes, mustParseIp, NodeFiles, TemporaryDirectory } from "../samples.ts";

import type { Verdict } from "../../../src/access/index.ts";
import type { Posix } from "../../../src/posix/index.ts";

const posix = { strerror: (code: string) => `strerror of ${code}` };
const RULE = "ip4/192.0.2.7_32";

describe("the decision", () => {
  test.each<[string, Verdict, unknown]>([
    [
      "admits with the variables of the rule that allows",
      { kind: "allow", rule: RULE, edits: [{ name: "A", value: "b" }], exec: undefined },
      { kind: "admit", rule: RULE, edits: [{ name: "A", value: "b" }], words: undefined },
    ],
    [
      "admits to the script of the rule that allows",
      { kind: "allow", rule: RULE, edits: [], exec: Buffer.from("echo hello") },
      { kind: "admit", rule: RULE, edits: [], words: ["execlineb", "-c", "echo hello"] },
    ],
    [
      "refuses and names the rule that denies",
      { kind: "deny", rule: RULE },
      { kind: "refuse", rule: RULE, reason: `rule ${RULE}`, warning: undefined },
    ],
    [
      "refuses with a warning where a rule denies because it cannot be read",
      {
        kind: "deny",
        rule: RULE,
        fault: { kind: "error", why: "unable to read deny", code: "EACCES" },
      },
      {
        kind: "refuse",
        rule: RULE,
        reason: `rule ${RULE} (unable to read deny: strerror of EACCES)`,
        warning: "unable to read deny: strerror of EACCES",
      },
    ],
    [
      "refuses where no rule matches",
      { kind: "notFound" },
      { kind: "refuse", rule: undefined, reason: "no rule matches", warning: undefined },
    ],
    [
      "is an error where the rules cannot be read, and says why",
      { kind: "error", why: "unable to read rules.cdb", code: "EIO", rule: undefined },
      { kind: "error", reason: "unable to read rules.cdb: strerror of EIO" },
    ],
    [
      "is an error where the rules make no sense, and says why",
      { kind: "error", why: "rules.cdb: the file is empty", code: undefined, rule: undefined },
      { kind: "error", reason: "rules.cdb: the file is empty" },
    ],
    [
      "is an error that names the rule where one rule is at fault",
      { kind: "error", why: "unable to read env", code: "EISDIR", rule: RULE },
      { kind: "error", reason: `unable to read env: strerror of EISDIR (rule ${RULE})` },
    ],
  ])("the decision on a client %s", (_, verdict, admission) => {
    expect(decide(verdict, posix)).toEqual(admission);
  });
});

describe("the words of a script", () => {
  test("script words are the same array for the same bytes", () => {
    expect(scriptWords(Buffer.from("echo x"))).toBe(scriptWords(Buffer.from("echo x")));
    expect(scriptWords(Buffer.from("echo x"))).not.toBe(scriptWords(Buffer.from("echo y")));
  });

  test("script words keep the bytes of the script, UTF-8 or not", () => {
    expect(scriptWords(Uint8Array.of(0x61, 0xff))[2]).toBe("a\udcff");
  });

  test("script words are remembered for 256 scripts and no more", () => {
    const first = scriptWords(Buffer.from("first"));
    for (let script = 0; script < 256; script += 1) scriptWords(Buffer.from(`script ${script}`));
    expect(scriptWords(Buffer.from("first"))).not.toBe(first);
  });
});

describe("opening rules", () => {
  const client = mustParseIp("192.0.2.7");
  const files = new NodeFiles() as NodeFiles & Posix;

  test("opening rules takes a directory, a CDB file or any other rules", () => {
    using directory = new TemporaryDirectory();
    directory.write({ [`rules/${RULE}/allow`]: "", "rules.cdb": cdbBytes([[RULE, "D"]]) });
    const byDirectory = openRules({ directory: directory.file("rules") }, files);
    expect(byDirectory.checkIp(client).kind).toBe("allow");
    const byFile = openRules({ cdb: directory.file("rules.cdb") }, files);
    expect(byFile.checkIp(client).kind).toBe("deny");
    expect(openRules(byFile, files)).toBe(byFile);
  });

  test("opening rules reads nothing, so that it cannot fail", () => {
    const missing = openRules({ cdb: "/nonexistent/rules.cdb" }, files);
    expect(missing.checkIp(client)).toMatchObject({ kind: "error", code: "ENOENT" });
  });
});
