import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newScene } from "../support/scene.ts";

const NAME = "s6-accessrules-cdb-from-fs";

/** The vectors of one rule each, whose bytes do not depend on the order of readdir(3). */
const VECTORS = [
  {
    title: "one rule that allows",
    files: { "rules/uid/0/allow": "" },
    bytes: 2082,
    sha256: "08fcdc52170c57e9e3aba40480613aaacc781eb195cda68c1ab87ce63bac5ed1",
  },
  {
    title: "one rule that denies",
    files: { "rules/uid/default/deny": "" },
    bytes: 2084,
    sha256: "637b125c365160ac74606e53c2e5e434b7799eff87c6f9f26800a8c531b36242",
  },
  {
    title: "a variable, of which the first line counts",
    files: {
      "rules/ip4/127.0.0.0_8/allow": "",
      "rules/ip4/127.0.0.0_8/env/FOO": "bar \t\nsecond line\n",
    },
    bytes: 2100,
    sha256: "1e7c81769084962d0eba3b37ae9eadbca59761dff0a2fc492a82c161a9ed62a6",
  },
  {
    title: "a variable to remove, and a script",
    files: {
      "rules/gid/100/allow": "",
      "rules/gid/100/env/GONE": "",
      "rules/gid/100/exec": "echo hi\n",
    },
    bytes: 2097,
    sha256: "33269e15769c679c8d31fdc93c61b6036d8010351bcc58dca35239742608c4ef",
  },
  {
    title: "what decides nothing, or is hidden, is as if it were not there",
    files: { "rules/ip4/127.0.0.1_32/": "", "rules/.git/config": "", "rules/uid/.swp": "" },
    bytes: 2048,
    sha256: "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f",
  },
];

test.each(VECTORS)(
  "s6-accessrules-cdb-from-fs compiles as the C suite does: $title",
  async ({ files, bytes, sha256 }) => {
    await using scene = await newScene({ files });
    (await scene.run(NAME, ["rules.cdb", "rules"])).exits(EXIT.ok).stdoutIs("").stderrIs("");
    const made = scene.readBytes("rules.cdb");
    expect(made).toHaveLength(bytes);
    expect(createHash("sha256").update(made).digest("hex")).toBe(sha256);
  },
);

test("allow beats deny", async () => {
  const rule = { "rules/uid/0/allow": "" };
  await using scene = await newScene({ files: { ...rule, "rules/uid/0/deny": "" } });
  (await scene.run(NAME, ["rules.cdb", "rules"])).exits(EXIT.ok);
  expect(scene.readBytes("rules.cdb").toString("latin1", 2048)).toMatch(/uid\/0A/);
});

test("s6-accessrules-cdb-from-fs --sort makes equal files of equal rules, in whatever order they were made", async () => {
  const rules = ["uid/0/allow", "ip4/10.0.0.0_8/deny", "ip6/::_0/allow", "uid/default/deny"];
  const paths = (root: string, names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [`${root}/${name}`, ""]));
  await using scene = await newScene({
    files: { ...paths("a", rules), ...paths("b", rules.toReversed()) },
  });
  (await scene.run(NAME, ["--sort", "a.cdb", "a"])).exits(EXIT.ok);
  (await scene.run(NAME, ["--sort", "b.cdb", "b"])).exits(EXIT.ok);
  expect(scene.readBytes("a.cdb").equals(scene.readBytes("b.cdb"))).toBe(true);
});

describe("the permissions", () => {
  test.each([
    ["of its owner alone by default", "", 0o600],
    ["of -m", "-m 644", 0o644],
    ["of --mode=", "--mode=0640", 0o640],
    ["of the last of several", "-m 600 -m644", 0o644],
  ])(
    "the permissions of a compiled file are those %s, whatever the umask",
    async (_, options, mode) => {
      await using scene = await newScene({ files: { "rules/uid/0/allow": "" } });
      for (const umask of ["077", "000"]) {
        (await scene.shell(`umask ${umask}; ${NAME} ${options} rules.cdb rules`)).exits(EXIT.ok);
        expect(statSync(scene.path("rules.cdb")).mode & 0o7777).toBe(mode);
      }
    },
  );
});

describe("rules that cannot be compiled", () => {
  const good = { "rules/uid/0/allow": "", "rules.cdb": cdbBytes([["uid/7", "D"]]) };
  test.each([
    [
      "a file among the kinds of rules",
      { "rules/README": "" },
      EXIT.system,
      "unable to read the directory rules/README: Not a directory",
    ],
    [
      "a file among the rules",
      { "rules/ip4/stray": "" },
      EXIT.system,
      "rules/ip4/stray is not a directory: a rule is a directory that holds allow or deny",
    ],
    [
      "a directory in place of a variable",
      { "rules/uid/1/allow": "", "rules/uid/1/env/X/": "" },
      EXIT.system,
      "unable to read the environment directory rules/uid/1/env: Is a directory",
    ],
    [
      "a directory in place of a script",
      { "rules/uid/1/allow": "", "rules/uid/1/exec/": "" },
      EXIT.system,
      "unable to read rules/uid/1/exec: Is a directory",
    ],
    [
      "more variables than a rule may hold",
      {
        "rules/uid/1/allow": "",
        "rules/uid/1/env/A": "x".repeat(4000),
        "rules/uid/1/env/B": "x".repeat(93),
      },
      EXIT.usage,
      "rules/uid/1/env is too big: 4099 bytes of variables, a rule holds 4096",
    ],
  ] as const)(
    "s6-accessrules-cdb-from-fs refuses %s in one line that names it, and changes nothing",
    async (_, bad, code, message) => {
      await using scene = await newScene({ files: { ...good, ...bad } });
      const run = await scene.run(NAME, ["rules.cdb", "rules"]);
      run.exits(code).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
      expect(scene.readBytes("rules.cdb").equals(cdbBytes([["uid/7", "D"]]))).toBe(true);
      expect(readdirSync(scene.directory).sort()).toEqual(["rules", "rules.cdb"]);
    },
  );

  test("s6-accessrules-cdb-from-fs takes 4096 bytes of variables", async () => {
    const files = { "rules/uid/1/allow": "", "rules/uid/1/env/A": "x".repeat(4000) };
    await using scene = await newScene({
      files: { ...files, "rules/uid/1/env/B": "x".repeat(90) },
    });
    (await scene.run(NAME, ["rules.cdb", "rules"])).exits(EXIT.ok);
  });
});

test("s6-accessrules-cdb-from-fs warns of a script that may have been cut off", async () => {
  const files = { "rules/uid/1/allow": "", "rules/uid/1/exec": "x".repeat(5000) };
  await using scene = await newScene({ files });
  const run = await scene.run(NAME, ["rules.cdb", "rules"]);
  run.exits(EXIT.ok);
  run.stderrIs(`${NAME}: warning: possibly truncated file rules/uid/1/exec\n`);
});

test.each([
  [["rules.cdb", "nowhere"], "unable to read the directory nowhere: No such file or directory"],
  [["nowhere/cdb", "rules"], "unable to write nowhere/cdb: No such file or directory"],
  [["rules", "rules"], "unable to write rules: Is a directory"],
])("the command line %j exits 111 and reports the error", async (words, message) => {
  await using scene = await newScene({ files: { "rules/uid/0/allow": "" } });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
  expect(readdirSync(scene.directory)).toEqual(["rules"]);
});

test.each([
  [[], "missing operand"],
  [["rules.cdb"], "missing operand"],
  [["rules.cdb", "rules", "more"], "unexpected operand: more"],
  [["-m"], "option -m needs an argument"],
  [["-m", "888", "rules.cdb", "rules"], "mode must be an octal file mode: 888"],
  [["-x", "rules.cdb", "rules"], "unrecognized short option: x"],
  [["--nosuch", "rules.cdb", "rules"], "unrecognized boolean option: --nosuch"],
  [["--nosuch=1", "rules.cdb", "rules"], "unrecognized option with argument: --nosuch=1"],
  [["--=1", "rules.cdb", "rules"], "invalid option: --=1"],
])("the command line %j is a usage error", async (words, problem) => {
  await using scene = await newScene({ files: { "rules/uid/0/allow": "" } });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.usage).stdoutIs("");
  expect(run.stderr.split("\n")[0]).toBe(`${NAME}: fatal: ${problem}`);
  expect(scene.has("rules.cdb")).toBe(false);
});
