import { readdirSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

const NAME = "s6-accessrules-fs-from-cdb";

const RULES = cdbBytes([
  ["ip4/10.0.0.0_8", "A\0\x0dFOO=bar\0GONE\0\0\x07echo hi"],
  ["uid/default", "D"],
  ["reversedns/example.org", "A\0\0\0\0"],
]);

function filesOf(scene: Scene, directory: string): string[] {
  return readdirSync(scene.path(directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(scene.path(directory).length + 1))
    .sort();
}

test("s6-accessrules-fs-from-cdb unpacks rules, their variables and their scripts", async () => {
  await using scene = await newScene({ files: { "rules.cdb": RULES } });
  (await scene.run(NAME, ["rules", "rules.cdb"])).exits(EXIT.ok).stdoutIs("").stderrIs("");
  expect(filesOf(scene, "rules")).toEqual([
    "ip4/10.0.0.0_8/allow",
    "ip4/10.0.0.0_8/env/FOO",
    "ip4/10.0.0.0_8/env/GONE",
    "ip4/10.0.0.0_8/exec",
    "reversedns/example.org/allow",
    "uid/default/deny",
  ]);
  expect(scene.read("rules/ip4/10.0.0.0_8/env/FOO")).toBe("bar\n");
  expect(scene.read("rules/ip4/10.0.0.0_8/env/GONE")).toBe("");
  expect(scene.read("rules/ip4/10.0.0.0_8/exec")).toBe("echo hi");
});

test("a database compiled from an unpacked one is the same again", async () => {
  const files = {
    "in/uid/0/allow": "",
    "in/uid/0/env/A": "one\n",
    "in/uid/0/exec": "#!\n",
    "in/gid/0/deny": "",
  };
  await using scene = await newScene({ files });
  (await scene.run("s6-accessrules-cdb-from-fs", ["--sort", "a.cdb", "in"])).exits(EXIT.ok);
  (await scene.run(NAME, ["out", "a.cdb"])).exits(EXIT.ok);
  (await scene.run("s6-accessrules-cdb-from-fs", ["--sort", "b.cdb", "out"])).exits(EXIT.ok);
  expect(scene.readBytes("b.cdb").equals(scene.readBytes("a.cdb"))).toBe(true);
});

test("an empty database is an empty directory", async () => {
  await using scene = await newScene({ files: { "rules.cdb": cdbBytes([]) } });
  (await scene.run(NAME, ["rules", "rules.cdb"])).exits(EXIT.ok);
  expect(readdirSync(scene.path("rules"))).toEqual([]);
});

test("unpacked directories are 755 whatever the umask, files are 666 less the umask", async () => {
  await using scene = await newScene({ files: { "rules.cdb": RULES } });
  (await scene.shell(`umask 077; ${NAME} rules rules.cdb`)).exits(EXIT.ok);
  for (const name of ["rules", "rules/ip4", "rules/ip4/10.0.0.0_8/env"]) {
    expect(statSync(scene.path(name)).mode & 0o7777).toBe(0o755);
  }
  expect(statSync(scene.path("rules/uid/default/deny")).mode & 0o7777).toBe(0o600);
});

test("s6-accessrules-fs-from-cdb leaves out a second rule for the same key, with a warning", async () => {
  const twice = cdbBytes([
    ["uid/0", "D"],
    ["uid/0", "A\0\0\0\0"],
  ]);
  await using scene = await newScene({ files: { "rules.cdb": twice } });
  const run = await scene.run(NAME, ["rules", "rules.cdb"]);
  run.exits(EXIT.ok);
  run.stderrIs(`${NAME}: warning: left out a second rule for uid/0, which is never used\n`);
  expect(filesOf(scene, "rules")).toEqual(["uid/0/deny"]);
});

describe("records that are refused", () => {
  test.each([
    ["a path out of the directory", "../x", "D", /invalid rule "\.\.\/x": the key is no path/],
    ["an absolute path", "/etc/x", "D", /invalid rule "\/etc\/x"/],
    ["a path through dots", "ip4/./x", "D", /invalid rule "ip4\/\.\/x"/],
    ["an empty key", "", "D", /invalid rule ""/],
    ["a key of three parts", "uid/0/x", "D", /"uid\/0\/x": the key is not a kind, a slash/],
    ["a key of ucspi-tcp", "10.", "D", /"10\.": the key is not a kind, a slash and a name/],
    ["a value of ucspi-tcp", "uid/0", "+A=b\0", /"uid\/0": the value neither allows nor denies/],
    ["an empty value", "uid/0", "", /invalid rule "uid\/0"/],
    ["A alone", "uid/0", "A", /invalid rule "uid\/0"/],
    ["bytes after the lengths", "uid/0", "A\0\0\0\0extra", /invalid rule "uid\/0"/],
    ["bytes after D", "uid/0", "Dgarbage", /invalid rule "uid\/0": there is something after D/],
    ["a variable with a slash", "uid/0", "A\0\x06a/b=c\0\0\0", /no file can stand for .*"a\/b"/],
    ["an unfinished variable", "uid/0", "A\0\x03A=b\0\0", /its environment is malformed/],
  ])(
    "s6-accessrules-fs-from-cdb leaves no directory behind for a record with %s",
    async (_, key, value, message) => {
      const records: [string, string][] = [
        ["ip4/10.0.0.1_32", "A\0\0\0\0"],
        [key, value],
      ];
      await using scene = await newScene({ files: { "rules.cdb": cdbBytes(records) } });
      const run = await scene.run(NAME, ["rules", "rules.cdb"]);
      run.exits(EXIT.system).stdoutIs("").stderrMatches(message);
      expect(run.stderr).toMatch(/^s6-accessrules-fs-from-cdb: fatal: [^\n]*\n$/);
      expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
    },
  );

  test.each([0, 100, 2047, 2060, RULES.length - 1])(
    "s6-accessrules-fs-from-cdb leaves no directory behind for a database that is cut after %d bytes",
    async (bytes) => {
      await using scene = await newScene({ files: { "rules.cdb": RULES.subarray(0, bytes) } });
      const run = await scene.run(NAME, ["rules", "rules.cdb"]);
      run
        .exits(EXIT.system)
        .stderrMatches(/: fatal: rules\.cdb is not a sound CDB file: [^\n]+\n$/);
      expect(scene.has("rules")).toBe(false);
    },
  );
});

test.each([
  [["there", "rules.cdb"], "unable to create there: File exists"],
  [["nowhere/rules", "rules.cdb"], "unable to create nowhere/rules: No such file or directory"],
  [["rules", "nowhere"], "unable to read nowhere: No such file or directory"],
  [["rules", "there"], "unable to read there: Is a directory"],
])("the command line %j exits 111 and reports the error", async (words, message) => {
  await using scene = await newScene({ files: { "rules.cdb": RULES, "there/file": "kept" } });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
  expect(scene.has("rules")).toBe(false);
  expect(scene.read("there/file")).toBe("kept");
});

test.each([
  [[], "missing operand"],
  [["rules"], "missing operand"],
  [["rules", "rules.cdb", "more"], "unexpected operand: more"],
])("the command line %j is a usage error", async (words, problem) => {
  await using scene = await newScene({ files: { "rules.cdb": RULES } });
  const run = await scene.run(NAME, words);
  run
    .exits(EXIT.usage)
    .stdoutIs("")
    .stderrIs(`${NAME}: fatal: ${problem}\n${NAME}: usage: ${NAME} dir cdbfile\n`);
});
