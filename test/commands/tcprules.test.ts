import { lstatSync, readdirSync, statSync, symlinkSync } from "node:fs";
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
      "=.example.org:allow\n=example.org:allow\n=:deny",
      [
        ["reversedns/example.org", "A\0\0\0\0"],
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
      run.exits(EXIT.ok).stdoutIs("");
      if (text.includes("clientcert") || text.startsWith(":")) run.stderrIs("");
      else run.stderrMatches(/^s6-tcprules: warning: no line has an empty address: [^\n]+\n$/);
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
    const closed = await scene.run(NAME, ["rules.cdb"], {
      input: "=good:allow\n=.good:allow\n10.:deny\n:deny\n",
    });
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
    ["s6", "1.2.3.4:nonsense", " (line 2: neither allow nor deny follows the colon)"],
    [
      "s6",
      "1.2.3.4:allow\r",
      " (line 2: neither allow nor deny follows the colon, up to a comma or the end)",
    ],
    ["s6", "1.2.3.4:allow,", " (line 2: a variable has no = and no value)"],
    [
      "s6",
      '1.2.3.4:allow,A="b',
      " (line 2: the byte that the value of a variable begins with, its quote, does not end it)",
    ],
    ["s6", "1.2.3.4: allow", " (line 2: neither allow nor deny follows the colon)"],
    [
      "s6",
      "1.2.3.256:allow",
      " (line 2: this is neither an address nor a network, which ends with a dot or a prefix length, nor =name)",
    ],
    ["s6", "1.2.3.4/8:allow", " (line 2: the address has bits set past the prefix length)"],
    ["s6", "joe@1.2.3.4:allow", " (line 2: s6 rules cannot ask for IDENT answers)"],
    ["s6", "=a/b:allow", " (line 2: this is not a host name)"],
    ["s6", "allow", " (line 2: no colon)"],
    ["djb", "1.2.3.4:nonsense", " (line 2: neither allow nor deny follows the colon)"],
    ["djb", "2001:db8::1:deny", " (line 2: neither allow nor deny follows the colon)"],
    ["djb", "1.x-3:deny", " (line 2: a range is not of two numbers)"],
  ])(
    "s6-tcprules for %s reports the line %j, and leaves the file as it was",
    async (format, line, why) => {
      const before = cdbBytes([["uid/0", "D"]]);
      await using scene = await newScene({ files: { "rules.cdb": before } });
      const input = `1.1.1.1:allow\n${line}\n1.1.1.2:allow\n`;
      const run = await scene.run(NAME, [`--format=${format}`, "rules.cdb", "tmp"], { input });
      run.exits(EXIT.usage).stdoutIs("");
      run.stderrIs(`${NAME}: fatal: unable to parse this line: ${line}${why}\n`);
      expect(scene.readBytes("rules.cdb").equals(before)).toBe(true);
      expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
    },
  );

  test("s6-tcprules reports a line without an end, and leaves the file as it was", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["rules.cdb"], { input: "x".repeat((1 << 20) + 1) });
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: line 1 is longer than 1048576 bytes\n`);
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

  test.each<[string, Uint8Array]>([
    ["a database", cdbBytes([["=a", "D\0"]])],
    ["an empty file", Buffer.alloc(0)],
    ["a database that was never finished", Buffer.alloc(3000)],
  ])(
    "a compiled file appears in one piece by way of the temporary file, which was %s",
    async (_, tmp) => {
      await using scene = await newScene({ files: { "rules.cdb": cdbBytes([["=a", ""]]), tmp } });
      (await scene.run(NAME, ["rules.cdb", "tmp"], { input: ":allow\n" })).exits(EXIT.ok);
      expect(scene.readBytes("rules.cdb").length).toBeGreaterThan(2048);
      expect(readdirSync(scene.directory)).toEqual(["rules.cdb"]);
    },
  );

  const INPUT = "1.2.3.4:allow\n:deny\n";

  test.each([
    ["rules.txt", "rules.txt exists and is not a CDB file"],
    ["rules.cdb rules.txt", "rules.txt exists and is not a CDB file"],
    ["rules.txt rules.cdb", "rules.txt exists and is not a CDB file"],
    ["disk.img", "disk.img exists and is not a CDB file"],
    ["long.txt", "long.txt exists and is not a CDB file"],
    ["new.cdb link", "link exists and is a symbolic link"],
    ["new.cdb fifo", "fifo exists and is not a regular file"],
    ["fifo", "fifo exists and is not a regular file"],
    ["new.cdb sub", "sub exists and is a directory"],
    ["nowhere", "nowhere exists and is not a regular file"],
    ["/dev/null", "/dev/null exists and is not a regular file"],
    ["new.cdb /dev/null", "/dev/null exists and is not a regular file"],
    ["rules.cdb rules.cdb", undefined],
    ["rules.cdb ./rules.cdb", undefined],
    ["new.cdb sub/../new.cdb", undefined],
  ])("s6-tcprules %s overwrites no file that is no database", async (words, problem) => {
    const old = cdbBytes([["uid/0", "D"]]);
    const long = `10.:allow # ${"x".repeat(5000)}\n`;
    const files = {
      "rules.txt": INPUT,
      "rules.cdb": old,
      "long.txt": long,
      "disk.img": Buffer.alloc(5000),
      "sub/": "",
    };
    await using scene = await newScene({ files });
    symlinkSync("rules.cdb", scene.path("link"));
    symlinkSync("missing", scene.path("nowhere"));
    (await scene.shell("mkfifo fifo")).exits(0);
    const before = readdirSync(scene.directory);
    const run = await scene.run(NAME, words.split(" "), { input: INPUT });
    const temporary = words.split(" ").at(-1);
    const message =
      problem === undefined
        ? `${temporary} is both the file and its temporary file`
        : `${problem}: it is left as it is`;
    run.exits(problem === undefined ? EXIT.usage : EXIT.system).stdoutIs("");
    run.stderrIs(`${NAME}: fatal: ${message}\n`);
    expect(readdirSync(scene.directory)).toEqual(before);
    expect([scene.read("rules.txt"), scene.read("long.txt")]).toEqual([INPUT, long]);
    expect(scene.readBytes("rules.cdb").equals(old)).toBe(true);
  });

  test("s6-tcprules replaces a symbolic link to a database, and leaves that as it is", async () => {
    const old = cdbBytes([["uid/0", "D"]]);
    await using scene = await newScene({ files: { "old.cdb": old } });
    symlinkSync("old.cdb", scene.path("link"));
    (await scene.run(NAME, ["link"], { input: INPUT })).exits(EXIT.ok).stderrIs("");
    expect(lstatSync(scene.path("link")).isFile()).toBe(true);
    expect(scene.readBytes("old.cdb").equals(old)).toBe(true);
  });

  test("s6-tcprules announces that it reads from a terminal", async () => {
    await using scene = await newScene();
    const script = `import pty, os, sys
pid, fd = pty.fork()
if pid == 0: os.execvp("${NAME}", ["${NAME}", "rules.cdb"])
out = b""
while b"terminal" not in out: out += os.read(fd, 1000)
os.write(fd, b":allow\\n\\x04")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    (await scene.execute("python3", ["-c", script]).finished()).exits(EXIT.ok);
    expect(scene.has("rules.cdb")).toBe(true);
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
