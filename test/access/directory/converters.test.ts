import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import {
  compileDirectory,
  DirectoryRules,
  RulesProblem,
  unpackCdb,
} from "../../../src/access/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import { cdbBytes, NodeFiles, TemporaryDirectory } from "../samples.ts";

import type { CompileOptions } from "../../../src/access/index.ts";
import type { SampleRecord } from "../samples.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

/** Compile these files; the bytes of the database and the warnings. */
function compiled(files: Files, options: Partial<CompileOptions> = {}) {
  using directory = new TemporaryDirectory();
  directory.write({ "rules/": "", ...files });
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  compileDirectory(directory.file("rules"), directory.file("rules.cdb"), {
    posix: new NodeFiles(),
    warn,
    ...options,
  });
  return {
    bytes: readFileSync(directory.file("rules.cdb")),
    mode: statSync(directory.file("rules.cdb")).mode & 0o7777,
    warnings,
    left: readdirSync(directory.path).sort(),
  };
}

function problemOf(call: () => unknown): RulesProblem {
  try {
    call();
  } catch (error) {
    if (error instanceof RulesProblem) return error;
    throw error;
  }
  throw new Error("There was no problem");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("compiling a directory", () => {
  test.each<[string, Files, number, string]>([
    ["V0", {}, 2048, "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f"],
    [
      "V1",
      { "rules/uid/0/allow": "" },
      2082,
      "08fcdc52170c57e9e3aba40480613aaacc781eb195cda68c1ab87ce63bac5ed1",
    ],
    [
      "V2",
      { "rules/uid/default/deny": "" },
      2084,
      "637b125c365160ac74606e53c2e5e434b7799eff87c6f9f26800a8c531b36242",
    ],
    [
      "V3",
      {
        "rules/ip4/127.0.0.0_8/allow": "",
        "rules/ip4/127.0.0.0_8/env/FOO": "bar \t\nsecond line\n",
      },
      2100,
      "1e7c81769084962d0eba3b37ae9eadbca59761dff0a2fc492a82c161a9ed62a6",
    ],
    [
      "V4",
      {
        "rules/gid/100/allow": "",
        "rules/gid/100/env/GONE": "",
        "rules/gid/100/exec": "echo hi\n",
      },
      2097,
      "33269e15769c679c8d31fdc93c61b6036d8010351bcc58dca35239742608c4ef",
    ],
  ])("compiling a directory makes the file of the C compiler: %s", (_, files, bytes, digest) => {
    const result = compiled(files);
    expect(result.bytes.length).toBe(bytes);
    expect(sha256(result.bytes)).toBe(digest);
    expect(result.left).toEqual(["rules", "rules.cdb"]);
  });

  test("a compiled file can be read by its owner alone unless other permissions are given", () => {
    expect(compiled({ "rules/uid/0/allow": "" }).mode).toBe(0o600);
    expect(compiled({ "rules/uid/0/allow": "" }, { mode: 0o644 }).mode).toBe(0o644);
  });

  test("compiling a directory leaves out hidden names and rules without effect", () => {
    const result = compiled({
      "rules/.git/x/allow": "",
      "rules/uid/.swp": "",
      "rules/uid/1/": "",
      "rules/uid/2/env/A": "x",
    });
    expect(sha256(result.bytes)).toBe(
      "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f",
    );
  });

  test("compiling a directory sorts rules and variables when asked to", () => {
    const files: [string, string][] = [3, 1, 2, 10].flatMap((uid) => [
      [`rules/uid/${uid}/allow`, ""],
      [`rules/uid/${uid}/env/B`, "b"],
      [`rules/uid/${uid}/env/A`, "a"],
    ]);
    const sorted = cdbBytes(
      ["1", "10", "2", "3"].map((uid) => [`uid/${uid}`, "A\0\x08A=a\0B=b\0\0\0"]),
    );
    expect(compiled(Object.fromEntries(files), { sort: true }).bytes).toEqual(sorted);
    expect(compiled(Object.fromEntries(files.toReversed()), { sort: true }).bytes).toEqual(sorted);
  });

  test.each([
    ["a stray file among the rules", { "rules/ip4/README": "x" }, /ip4\/README is not a directory/],
    ["a stray file at the top", { "rules/README": "x" }, /unable to read the directory .*README/],
  ])("compiling a directory reports %s, and makes no file", (_, files, message) => {
    using directory = new TemporaryDirectory();
    const old = cdbBytes([["uid/0", "D"]]);
    directory.write({ ...files, "rules.cdb": old });
    const problem = problemOf(() =>
      compileDirectory(directory.file("rules"), directory.file("rules.cdb"), {
        posix: new NodeFiles(),
        warn: () => {},
      }),
    );
    expect(problem.fault).toBe("system");
    expect(problem.message).toMatch(message);
    expect(readFileSync(directory.file("rules.cdb"))).toEqual(old);
    expect(readdirSync(directory.path).sort()).toEqual(["rules", "rules.cdb"]);
  });

  test.each(["allow", "deny", "env", "env/A", "exec"])(
    "compiling a directory refuses a symbolic link to nowhere in the place of %s, and makes no file",
    (name) => {
      using directory = new TemporaryDirectory();
      directory.write(name.startsWith("e") ? { "rules/uid/0/allow": "" } : { "rules/uid/0/": "" });
      mkdirSync(dirname(directory.file(`rules/uid/0/${name}`)), { recursive: true });
      symlinkSync("/nonexistent", directory.file(`rules/uid/0/${name}`));
      const problem = problemOf(() =>
        compileDirectory(directory.file("rules"), directory.file("rules.cdb"), {
          posix: new NodeFiles(),
          warn: () => {},
        }),
      );
      expect(problem.message).toMatch(/^unable to read .*rules\/uid\/0\//);
      expect(readdirSync(directory.path)).toEqual(["rules"]);
    },
  );

  test("compiling a directory refuses a rule that is a symbolic link to nowhere, as the rule denies", () => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules/uid/default/allow": "" });
    symlinkSync("/nonexistent", directory.file("rules/uid/0"));
    const rules = new DirectoryRules(new NodeFiles(), directory.file("rules"));
    expect(rules.probe("uid/0").kind).toBe("deny");
    const problem = problemOf(() =>
      compileDirectory(directory.file("rules"), directory.file("rules.cdb"), {
        posix: new NodeFiles(),
        warn: () => {},
      }),
    );
    expect(problem.message).toMatch(/^unable to read .*rules\/uid\/0: No such file or directory$/);
    expect(readdirSync(directory.path)).toEqual(["rules"]);
  });

  test("compiling a directory overwrites no file that is no database, and says so before it reads any rule", () => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules/README": "", "notes.txt": "x".repeat(5000) });
    const problem = problemOf(() =>
      compileDirectory(directory.file("rules"), directory.file("notes.txt"), {
        posix: new NodeFiles(),
        warn: () => {},
      }),
    );
    expect(problem).toMatchObject({ fault: "system" });
    expect(problem.message).toMatch(/notes.txt exists and is not a CDB file: it is left as it is$/);
    expect(readFileSync(directory.file("notes.txt"), "utf8")).toBe("x".repeat(5000));
  });

  test("compiling a directory refuses variables that no reader would take, from the first byte on", () => {
    // NAME, =, value and NUL of two variables.
    const files = (bytes: number): Files => ({
      "rules/uid/0/allow": "",
      "rules/uid/0/env/A": "x".repeat(3000),
      "rules/uid/0/env/B": "x".repeat(bytes - 3003 - 3),
    });
    expect(compiled(files(4096)).bytes.length).toBeGreaterThan(6000);
    for (const bytes of [4097, 4100, 4101]) {
      const problem = problemOf(() => compiled(files(bytes)));
      expect(problem.fault).toBe("input");
      expect(problem.message).toMatch(/too big/);
    }
  });

  test("compiling a directory warns of a script that may have been cut", () => {
    const files = { "rules/uid/0/allow": "", "rules/uid/0/exec": "x".repeat(4097) };
    expect(compiled(files).warnings).toEqual([expect.stringMatching(/^possibly truncated file /)]);
    expect(compiled({ ...files, "rules/uid/0/exec": "x".repeat(4095) }).warnings).toEqual([]);
  });
});

/** Unpack these records; what is in the directory, by path. */
function unpacked(records: readonly SampleRecord[]) {
  using directory = new TemporaryDirectory();
  directory.write({ "rules.cdb": cdbBytes(records) });
  const warnings: string[] = [];
  unpackCdb(directory.file("rules.cdb"), directory.file("out"), {
    posix: loadPosix(),
    warn: (text) => warnings.push(text),
  });
  const paths = readdirSync(directory.file("out"), { recursive: true, encoding: "utf8" });
  const files = paths
    .map((path) => [path, directory.file(`out/${path}`)] as const)
    .map(([path, file]) => [path, statSync(file).isFile() ? readFileSync(file, "utf8") : undefined])
    .filter(([, content]) => content !== undefined);
  return { files: Object.fromEntries(files) as Record<string, string>, paths, warnings };
}

describe("unpacking a database", () => {
  test("unpacking a database gives the files it was compiled from", () => {
    const value = "A\0\x0eFOO=bar\0GONE\0N\0".replace("N\0", "N=");
    const { files } = unpacked([
      ["gid/100", `${value}\0\0\x08echo hi\n`.replace("\x0e", "\x10")],
      ["uid/default", "D"],
      ["ip6/::_0", "A\0\0\0\0"],
    ]);
    expect(files).toEqual({
      "gid/100/allow": "",
      "gid/100/env/FOO": "bar\n",
      "gid/100/env/GONE": "",
      "gid/100/env/N": "\n",
      "gid/100/exec": "echo hi\n",
      "uid/default/deny": "",
      "ip6/::_0/allow": "",
    });
  });

  test("unpacking a database gives the rules for certificates back, the longest included", () => {
    using directory = new TemporaryDirectory();
    const names = ["@", "none", "uri:spiffe:%2F%2Fa.example%2Fdb", "subject:C=US, CN=é \\,"];
    const long = `uri:${"x".repeat(251)}`;
    for (const name of [...names, long]) {
      directory.write({ [`in/clientcert/${name}/allow`]: "" });
      directory.write({ [`in/clientcert/${name}/env/NAME`]: `${name}\n` });
    }
    const posix = new NodeFiles();
    const [cdb, out] = [directory.file("rules.cdb"), directory.file("out")];
    compileDirectory(directory.file("in"), cdb, { posix, warn: () => {} });
    unpackCdb(cdb, out, { posix: loadPosix(), warn: () => {} });
    for (const name of [...names, long]) {
      expect(readFileSync(`${out}/clientcert/${name}/env/NAME`, "utf8")).toBe(`${name}\n`);
      expect(existsSync(`${out}/clientcert/${name}/allow`)).toBe(true);
    }
  });

  test("unpacking a database leaves out the second of two rules, which would turn the first around", () => {
    const { files, warnings } = unpacked([
      ["uid/0", "D"],
      ["uid/0", "A\0\0\0\0"],
    ]);
    expect(files).toEqual({ "uid/0/deny": "" });
    expect(warnings).toEqual([expect.stringMatching(/second rule for uid\/0/)]);
  });

  test("unpacking a database keeps newlines in values", () => {
    expect(unpacked([["uid/0", "A\0\x06A=b\nc\0\0\0"]]).files["uid/0/env/A"]).toBe("b\0c\n");
  });

  test.each<[string, SampleRecord]>([
    ["a path out of the directory", ["../x/y", "D"]],
    ["a dot in the path", ["uid/./0", "D"]],
    ["an absolute path", ["/etc/x", "D"]],
    ["an empty key", ["", "D"]],
    ["a NUL in the key", ["uid/\0", "D"]],
    ["no lengths", ["uid/0", "A"]],
    ["more than it says", ["uid/0", "A\0\0\0\0extra"]],
    ["something after D", ["uid/0", "Dgarbage"]],
    ["an empty value", ["uid/0", ""]],
    ["a variable that is a path", ["uid/0", "A\0\x07../x=y\0\0\0"]],
    ["a variable without an end", ["uid/0", "A\0\x03A=b\0\0"]],
    ["a value that neither allows nor denies", ["uid/0", "X"]],
    ["a key of ucspi-tcp", ["=a.example", "D"]],
    ["a key of one part", ["uid", "D"]],
    ["a key of three parts", ["uid/0/allow", "D"]],
    ["a name that is longer than a file name", [`reversedns/${"x".repeat(256)}`, "D"]],
  ])("unpacking a database refuses a record with %s and leaves nothing behind", (_, record) => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules.cdb": cdbBytes([["uid/1", "D"], record]) });
    const problem = problemOf(() =>
      unpackCdb(directory.file("rules.cdb"), directory.file("out"), {
        posix: loadPosix(),
        warn: () => {},
      }),
    );
    expect(problem.fault).toBe("system");
    expect(readdirSync(directory.path)).toEqual(["rules.cdb"]);
  });

  test("unpacking a database refuses a directory that exists and leaves it alone", () => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules.cdb": cdbBytes([]), "out/kept": "x" });
    const problem = problemOf(() =>
      unpackCdb(directory.file("rules.cdb"), directory.file("out"), {
        posix: loadPosix(),
        warn: () => {},
      }),
    );
    expect(problem.message).toMatch(/^unable to create /);
    expect(existsSync(directory.file("out/kept"))).toBe(true);
  });

  test("unpacking a database refuses a file that is cut short", () => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules.cdb": cdbBytes([["uid/0", "D"]]).subarray(0, 2060) });
    expect(() =>
      unpackCdb(directory.file("rules.cdb"), directory.file("out"), {
        posix: loadPosix(),
        warn: () => {},
      }),
    ).toThrow(RulesProblem);
  });
});
