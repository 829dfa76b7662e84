import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newScene } from "../support/scene.ts";

const NAME = "s6-accessrules-lint";

describe("findings in a directory", () => {
  test.each([
    [
      "nothing, where all is well",
      { "rules/ip4/10.0.0.0_8/allow": "", "rules/ip4/10.0.0.1_32/deny": "" },
      EXIT.ok,
      "",
    ],
    [
      "a network that is no network",
      { "rules/ip4/10.0.0.1_8/allow": "" },
      EXIT.refused,
      "warning: ip4/10.0.0.1_8 is never looked up: it has bits set past its length; " +
        "ip4/10.0.0.0_8 is the network [host-bits]\n",
    ],
    [
      "a file that stops the compiler",
      { "rules/uid/0/allow": "", "rules/README": "" },
      EXIT.refused,
      "error: README is not a directory, so the rules cannot be compiled [stray]\n",
    ],
    [
      "both allow and deny",
      { "rules/uid/0/allow": "", "rules/uid/0/deny": "" },
      EXIT.refused,
      "warning: uid/0 has both allow and deny: it allows [both]\n",
    ],
    [
      "neither allow nor deny",
      { "rules/uid/0/": "" },
      EXIT.refused,
      "warning: uid/0 neither allows nor denies, as if it were not there [empty]\n",
    ],
    [
      "names that networks leave no turn to",
      {
        "rules/ip4/0.0.0.0_0/deny": "",
        "rules/ip6/::_0/deny": "",
        "rules/reversedns/example.org/allow": "",
      },
      EXIT.refused,
      "warning: reversedns/example.org never decides: networks decide every address, " +
        "so no name is looked up [shadowed]\n",
    ],
    [
      "what says the same twice, which is a note and no fault",
      { "rules/ip4/10.0.0.0_8/allow": "", "rules/ip4/10.1.0.0_16/allow": "" },
      EXIT.ok,
      "note: ip4/10.1.0.0_16 is the same as ip4/10.0.0.0_8 [redundant]\n",
    ],
    [
      "rules for certificates, which nobody is to rely on with other servers",
      {
        "rules/clientcert/@/allow": "",
        "rules/clientcert/dns:a.example/deny": "",
        "rules/clientcert/uri:spiffe:%2F%2Fa.example/deny": "",
      },
      EXIT.ok,
      "note: clientcert is ours alone: servers of the C suite ignore these rules and admit " +
        "whom the others allow [extension]\n",
    ],
    [
      "a rule for a certificate that is spelled otherwise",
      { "rules/clientcert/dns:A.example/deny": "" },
      EXIT.refused,
      "warning: clientcert/dns:A.example is never looked up: it is spelled " +
        "clientcert/dns:a.example by every check [not-canonical]\n" +
        "note: clientcert is ours alone: servers of the C suite ignore these rules and admit " +
        "whom the others allow [extension]\n",
    ],
  ] as const)("s6-accessrules-lint finds in a directory: %s", async (_, files, code, findings) => {
    await using scene = await newScene({ files });
    for (const words of [["rules"], ["-i", "rules"]]) {
      (await scene.run(NAME, words)).exits(code).stdoutIs(findings).stderrIs("");
    }
  });
});

describe("findings in a CDB file", () => {
  test("s6-accessrules-lint finds duplicate and unreachable rules in a CDB file", async () => {
    const rules = cdbBytes([
      ["uid/0", "D"],
      ["uid/0", "A\0\0\0\0"],
      ["uid/1", "A"],
    ]);
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    for (const words of [["rules.cdb"], ["-x", "rules.cdb"]]) {
      const run = await scene.run(NAME, words);
      run.exits(EXIT.refused).stderrIs("");
      run.stdoutMatches(/^warning: uid\/0 is a duplicate, .* \[duplicate\]$/m);
      run.stdoutMatches(/^error: uid\/1 cannot be used: .* \[invalid\]$/m);
    }
  });

  test("s6-accessrules-lint finds the same in a CDB file that s6-accessrules-cdb-from-fs made of a directory", async () => {
    const files = { "rules/ip4/10.0.0.1_8/allow": "", "rules/reversedns/Example.org/deny": "" };
    await using scene = await newScene({ files });
    (await scene.run("s6-accessrules-cdb-from-fs", ["--sort", "rules.cdb", "rules"])).exits(0);
    const directory = await scene.run(NAME, ["rules"]);
    const file = await scene.run(NAME, ["rules.cdb"]);
    file.exits(EXIT.refused).stdoutIs(directory.stdout);
    expect(directory.stdout.split("\n")).toHaveLength(3);
  });
});

test("s6-accessrules-lint --json prints one array of its findings", async () => {
  await using scene = await newScene({
    files: { "rules/uid/0/": "", "good/uid/0/allow": "" },
  });
  const run = await scene.run(NAME, ["--json", "rules"]);
  expect(JSON.parse(run.exits(EXIT.refused).stdout)).toEqual([
    {
      severity: "warning",
      key: "uid/0",
      code: "empty",
      message: "neither allows nor denies, as if it were not there",
    },
  ]);
  (await scene.run(NAME, ["-i", "good", "--json"])).exits(EXIT.ok).stdoutIs("[]\n");
});

test("s6-accessrules-lint uses the last of -i and -x, and an operand before either", async () => {
  await using scene = await newScene({ files: { "rules/uid/0/": "", "good/uid/0/allow": "" } });
  (await scene.run(NAME, ["-x", "nowhere", "-i", "good"])).exits(EXIT.ok);
  (await scene.run(NAME, ["-i", "good", "-x", "nowhere"])).exits(EXIT.system);
  (await scene.run(NAME, ["-i", "good", "rules"])).exits(EXIT.refused);
});

test.each([
  [["nowhere"], "unable to read nowhere: No such file or directory"],
  [["-i", "nowhere"], "unable to read the directory nowhere/: No such file or directory"],
  [["-x", "rules"], "unable to read rules: Is a directory"],
  [["empty.cdb"], "unable to read empty.cdb: the file is empty"],
  [["cut.cdb"], "unable to read cut.cdb: shorter than a CDB header"],
])("the command line %j exits 111 and reports the error", async (words, message) => {
  const files = { "rules/uid/0/allow": "", "empty.cdb": "", "cut.cdb": "x".repeat(100) };
  await using scene = await newScene({ files });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
});

test("s6-accessrules-lint fails when its findings cannot be written", async () => {
  await using scene = await newScene({ files: { "rules/uid/0/": "" } });
  const run = await scene.shell(`${NAME} rules >/dev/full`);
  run.exits(EXIT.system);
  run.stderrIs(`${NAME}: fatal: unable to write to stdout: No space left on device\n`);
});

test.each([
  [[], "missing operand: dir or cdb"],
  [["rules", "more"], "unexpected operand: more"],
  [["-i"], "option -i needs an argument"],
  [["-m", "rules"], "unrecognized short option: m"],
  [["--nosuch", "rules"], "unrecognized boolean option: --nosuch"],
])("the command line %j is a usage error", async (words, problem) => {
  await using scene = await newScene({ files: { "rules/uid/0/allow": "" } });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.usage).stdoutIs("");
  expect(run.stderr.split("\n")[0]).toBe(`${NAME}: fatal: ${problem}`);
});
