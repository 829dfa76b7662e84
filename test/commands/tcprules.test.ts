import { readdirSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newScene, peer } from "../support/scene.ts";

const NAME = "s6-tcprules";

describe("for s6", () => {
  test.each([
    ["1.2.3.4:allow", [["ip4/1.2.3.4_32", "A\0\0\0\0"]]],
    [
      "10.1.:deny\n1.:allow",
      [
        ["ip4/10.1.0.0_16", "D"],
        ["ip4/1.0.0.0_8", "A\0\0\0\0"],
      ],
    ],
    ["10.0.0.0/9:allow", [["ip4/10.0.0.0_9", "A\0\0\0\0"]]],
    ["2001:DB8::/32:allow,A=/b/", [["ip6/2001:db8::_32", "A\0\x04A=b\0\0\0"]]],
    ["[::1]:allow", [["ip6/::1_128", "A\0\0\0\0"]]],
    [
      "1.2.3.37-38:deny\n::1:allow",
      [
        ["ip4/1.2.3.37_32", "D"],
        ["ip4/1.2.3.38_32", "D"],
        ["ip6/::1_128", "A\0\0\0\0"],
      ],
    ],
    [
      "=Host.Example.com.:allow\n=.example.org:allow\n=:deny",
      [
        ["reversedns/host.example.com", "A\0\0\0\0"],
        ["reversedns/example.org", "A\0\0\0\0"],
        ["reversedns/@", "D"],
      ],
    ],
    [
      ":allow",
      [
        ["ip4/0.0.0.0_0", "A\0\0\0\0"],
        ["ip6/::_0", "A\0\0\0\0"],
      ],
    ],
    [
      "clientcert/dns:A-1.example:allow\nclientcert/none:deny",
      [
        ["clientcert/dns:a-1.example", "A\0\0\0\0"],
        ["clientcert/none", "D"],
      ],
    ],
    ["# comment\n\n  \t\n1.2.3.4:allow \t", [["ip4/1.2.3.4_32", "A\0\0\0\0"]]],
  ] satisfies [string, [string, string][]][])(
    "s6-tcprules compiles %j for s6",
    async (text, records) => {
      await using scene = await newScene();
      const run = await scene.run(NAME, ["rules.cdb"], { input: text });
      run.exits(EXIT.ok).stdoutIs("").stderrIs("");
      expect(scene.readBytes("rules.cdb").equals(cdbBytes(records))).toBe(true);
      expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
    },
  );

  test("s6-tcprules drops the variables of a line that denies", async () => {
    await using scene = await newScene();
    const input = '1.2.3.4:deny,A="b"\n1.2.3.5:allow\n';
    (await scene.run(NAME, ["rules.cdb"], { input })).exits(EXIT.ok);
    const compiled = cdbBytes([
      ["ip4/1.2.3.4_32", "D"],
      ["ip4/1.2.3.5_32", "A\0\0\0\0"],
    ]);
    expect(scene.readBytes("rules.cdb").equals(compiled)).toBe(true);
  });

  test("s6-tcprules warns of rules that admit no client", async () => {
    await using scene = await newScene();
    (await scene.run(NAME, ["rules.cdb"], { input: ":deny\n" }))
      .exits(EXIT.ok)
      .stderrMatches(/^s6-tcprules: warning: no line allows anything: [^\n]+\n$/);
    (await scene.run(NAME, ["rules.cdb"], { input: "" })).exits(EXIT.ok).stderrMatches(/warning/);
  });

  test("s6-tcprules refuses names that s6 would look up too late, or warns of them", async () => {
    await using scene = await newScene();
    const open = await scene.run(NAME, ["rules.cdb"], { input: "=bad.example:deny\n:allow\n" });
    open
      .exits(EXIT.usage)
      .stderrMatches(/: fatal: line 1 denies a host, but s6 looks up addresses/);
    expect(scene.has("rules.cdb")).toBe(false);
    const closed = await scene.run(NAME, ["rules.cdb"], { input: "=good:allow\n10.:deny\n" });
    closed
      .exits(EXIT.ok)
      .stderrMatches(/: warning: line 1 names a host, but s6 looks up addresses/);
  });
});

describe("for ucspi-tcp", () => {
  test("s6-tcprules --format=djb makes the records of the specification", async () => {
    await using scene = await newScene();
    const input = ':allow\n:deny\n127.:allow,B="x"\n1.2.3.37-39:deny\n';
    (await scene.run(NAME, ["--format=djb", "rules.cdb"], { input })).exits(EXIT.ok).stderrIs("");
    const compiled = cdbBytes([
      ["", ""],
      ["", "D\0"],
      ["127.", "+B=x\0"],
      ["1.2.3.37", "D\0"],
      ["1.2.3.38", "D\0"],
      ["1.2.3.39", "D\0"],
    ]);
    expect(scene.readBytes("rules.cdb").equals(compiled)).toBe(true);
  });

  const original = peer("tcprules");
  test.skipIf(original.isMissing)(
    `s6-tcprules --format=djb makes the file that tcprules makes${original.why}`,
    async () => {
      await using scene = await newScene();
      const input =
        '# x\n\n1.2-3.4:allow,A="1",B=/2/\njoe@1.2.3.4:deny\n=.x.org:allow\nallow\n:deny,C=||';
      (await scene.run(NAME, ["--format", "djb", "ours.cdb", "tmp"], { input }))
        .exits(EXIT.ok)
        .stderrMatches(/: warning: line 6 has no colon and is ignored: allow\n$/);
      await scene.execute(original.path, ["theirs.cdb", "tmp"], { input }).finished();
      expect(scene.readBytes("ours.cdb").equals(scene.readBytes("theirs.cdb"))).toBe(true);
      expect(readdirSync(scene.directory).sort()).toEqual(["ours.cdb", "theirs.cdb"]);
    },
  );
});

describe("lines that cannot be parsed", () => {
  test.each([
    ["s6", "1.2.3.4:nonsense", ""],
    ["s6", "1.2.3.4:allow\r", ""],
    ["s6", "1.2.3.4:allow,", ""],
    ["s6", '1.2.3.4:allow,A="b', ""],
    ["s6", "1.2.3.4: allow", ""],
    ["s6", "1.2.3.256:allow", " (line 2: this is neither an address nor a network)"],
    ["s6", "1.2.3.4/8:allow", " (line 2: the address has bits set past the prefix length)"],
    ["s6", "joe@1.2.3.4:allow", " (line 2: s6 rules cannot ask for IDENT answers)"],
    ["s6", "=a/b:allow", " (line 2: this is not a host name)"],
    ["s6", "allow", " (line 2: no colon)"],
    ["djb", "1.2.3.4:nonsense", ""],
    ["djb", "2001:db8::1:deny", ""],
    ["djb", "1.x-3:deny", ""],
  ])(
    "s6-tcprules for %s reports the line %j, and leaves the file as it was",
    async (format, line, why) => {
      await using scene = await newScene({ files: { "rules.cdb": "what was there" } });
      const input = `1.1.1.1:allow\n${line}\n1.1.1.2:allow\n`;
      const run = await scene.run(NAME, [`--format=${format}`, "rules.cdb", "tmp"], { input });
      run.exits(EXIT.usage).stdoutIs("");
      run.stderrIs(`${NAME}: fatal: unable to parse this line: ${line}${why}\n`);
      expect(scene.read("rules.cdb")).toBe("what was there");
      expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
    },
  );

  test("s6-tcprules reports a line without an end, and leaves the file as it was", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["rules.cdb"], { input: "x".repeat((1 << 20) + 1) });
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: line 1 is too long\n`);
    expect(readdirSync(scene.directory)).toEqual([]);
  });
});

describe("the file", () => {
  test("a compiled file has permissions 644 less the umask, or those of -m", async () => {
    await using scene = await newScene();
    const input = "1.2.3.4:allow\n";
    for (const [umask, options, mode] of [
      ["022", "", 0o644],
      ["077", "", 0o600],
      ["077", "-m 640", 0o640],
      ["077", "--mode=604", 0o604],
    ] as const) {
      (await scene.shell(`umask ${umask}; ${NAME} ${options} rules.cdb`, { input })).exits(EXIT.ok);
      expect(statSync(scene.path("rules.cdb")).mode & 0o7777).toBe(mode);
    }
  });

  test("a compiled file appears in one piece by way of the temporary file, whatever that contained", async () => {
    await using scene = await newScene({ files: { "rules.cdb": "old", tmp: "x".repeat(5000) } });
    const input = "1.2.3.4:allow\n";
    (await scene.run(NAME, ["rules.cdb", "tmp"], { input })).exits(EXIT.ok);
    expect(scene.readBytes("rules.cdb").equals(cdbBytes([["ip4/1.2.3.4_32", "A\0\0\0\0"]]))).toBe(
      true,
    );
    expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
  });
});

test.each([
  [`${NAME} nowhere/cdb`, "unable to compile to nowhere/cdb: No such file or directory"],
  [`${NAME} directory`, "unable to compile to directory: Is a directory"],
  [`${NAME} rules.cdb nowhere/tmp`, "unable to write nowhere/tmp: No such file or directory"],
  [`${NAME} rules.cdb <.`, "unable to read standard input: Is a directory"],
])("%s exits 111 and reports the error", async (script, message) => {
  await using scene = await newScene({ files: { "directory/": "" } });
  const run = await scene.shell(script, { input: "1.2.3.4:allow\n" });
  run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
  expect(readdirSync(scene.directory)).toEqual(["directory"]);
});

test.each([
  [[], "missing operand"],
  [["rules.cdb", "tmp", "more"], "unexpected operand: more"],
  [["--format=C", "rules.cdb"], "format must be one of s6, djb: C"],
  [["-m", "rw", "rules.cdb"], "mode must be an octal file mode: rw"],
  [["--format"], "option --format needs an argument"],
  [["-x", "rules.cdb"], "unrecognized short option: x"],
])("s6-tcprules %j is a usage error", async (words, problem) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words, { input: "1.2.3.4:allow\n" });
  run.exits(EXIT.usage).stdoutIs("");
  expect(run.stderr.split("\n")[0]).toBe(`${NAME}: fatal: ${problem}`);
  expect(readdirSync(scene.directory)).toEqual([]);
});
