/** The commands by their functions; the world is the test's. */

import { readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { accessrulesCdbFromFs } from "../../src/access/commands/accessrules-cdb-from-fs.ts";
import { accessrulesFsFromCdb } from "../../src/access/commands/accessrules-fs-from-cdb.ts";
import { accessrulesLint } from "../../src/access/commands/accessrules-lint.ts";
import { tcprules } from "../../src/access/commands/tcprules.ts";
import { tcprulescheck } from "../../src/access/commands/tcprulescheck.ts";
import { Fatal } from "../../src/command/index.ts";
import { parseOptions, UsageError } from "../../src/options/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { cdbBytes, TemporaryDirectory } from "./samples.ts";

import type { Command, CommandContext } from "../../src/command/index.ts";
import type { OptionTable } from "../../src/options/index.ts";

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string[];
}

interface World {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Run a command on these words. */
async function run<Table extends OptionTable>(
  command: Command<Table>,
  words: readonly string[],
  { input = "", environment = {} }: World = {},
): Promise<Outcome> {
  let stdout = "";
  const stderr: string[] = [];
  const posix = Object.assign({ ...loadPosix() }, inputOf(input), {
    strerror: (code: string) => `strerror of ${code}`,
  });
  // The commands touch nothing of their world but this.
  const context = {
    posix,
    report: (_: string, kind: string, text: string) => void stderr.push(`${kind}: ${text}`),
    environment: new Map(Object.entries(environment)),
    print: (text: string) => void (stdout += text),
  } as unknown as CommandContext;
  try {
    const { options, operands } = parseOptions({ ...command, explains: false }, words);
    const exitCode = (await command.run(context, options, operands)) ?? 0;
    return { exitCode, stdout, stderr };
  } catch (error) {
    if (error instanceof UsageError) return { exitCode: 100, stdout, stderr: [error.message] };
    if (!(error instanceof Fatal)) throw error;
    return { exitCode: error.exitCode, stdout, stderr: [...stderr, error.message] };
  }
}

function inputOf(text: string) {
  let rest = Buffer.from(text);
  return {
    isOpen: () => true,
    read(fd: Fd, into: Uint8Array): number | undefined {
      if (fd > 0) return loadPosix().read(fd, into);
      const piece = rest.subarray(0, Math.min(7, into.length));
      into.set(piece);
      rest = rest.subarray(piece.length);
      return piece.length;
    },
  };
}

describe("s6-accessrules-cdb-from-fs and -fs-from-cdb", () => {
  test("s6-accessrules-cdb-from-fs and -fs-from-cdb undo each other", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ "in/uid/0/allow": "", "in/uid/0/env/A": "b\n", "in/uid/default/deny": "" });
    const [cdb, again] = [directory.file("rules.cdb"), directory.file("again.cdb")];
    const words = ["-m", "644", "--sort"];
    expect(await run(accessrulesCdbFromFs, [...words, cdb, directory.file("in")])).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: [],
    });
    expect(statSync(cdb).mode & 0o777).toBe(0o644);
    await run(accessrulesFsFromCdb, [directory.file("out"), cdb]);
    await run(accessrulesCdbFromFs, ["--sort", again, directory.file("out")]);
    expect(readFileSync(again)).toEqual(readFileSync(cdb));
    expect(statSync(again).mode & 0o777).toBe(0o600);
  });

  test("s6-accessrules-cdb-from-fs and -fs-from-cdb report what failed and why", async () => {
    const missing = await run(accessrulesCdbFromFs, ["/nonexistent/cdb", "/nonexistent/dir"]);
    expect(missing).toMatchObject({
      exitCode: 111,
      stderr: ["unable to write /nonexistent/cdb: strerror of ENOENT"],
    });
    const unread = await run(accessrulesFsFromCdb, ["/nonexistent/dir", "/nonexistent/cdb"]);
    expect(unread).toMatchObject({
      exitCode: 111,
      stderr: ["unable to read /nonexistent/cdb: strerror of ENOENT"],
    });
  });

  test("s6-accessrules-cdb-from-fs and -fs-from-cdb exit 100 for invalid rules", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ "in/uid/0/allow": "" });
    for (const name of ["A", "B"]) directory.write({ [`in/uid/0/env/${name}`]: "x".repeat(3000) });
    const words = [directory.file("cdb"), directory.file("in")];
    expect((await run(accessrulesCdbFromFs, words)).exitCode).toBe(100);
  });
});

describe("s6-tcprules", () => {
  test("s6-tcprules compiles for s6 unless told otherwise", async () => {
    using directory = new TemporaryDirectory();
    const cdb = directory.file("cdb");
    expect((await run(tcprules, [cdb], { input: "10.0.0.0/8:deny\n::1:allow" })).exitCode).toBe(0);
    const rules = cdbBytes([
      ["ip4/10.0.0.0_8", "D"],
      ["ip6/::1_128", "A\0\0\0\0"],
    ]);
    expect(readFileSync(cdb)).toEqual(rules);
  });

  test("s6-tcprules compiles for ucspi-tcp by way of the file it is given", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ tmp: cdbBytes([["what was in it is", "lost"]]) });
    const words = ["--format=djb", directory.file("cdb"), directory.file("tmp")];
    const outcome = await run(tcprules, words, { input: "1.:deny\nallow\n" });
    expect(outcome.stderr).toEqual(["warning: line 2 has no colon and is ignored: allow"]);
    expect(readFileSync(directory.file("cdb"))).toEqual(cdbBytes([["1.", "D\0"]]));
  });

  test("s6-tcprules leaves the file as it was when a line is wrong", async () => {
    using directory = new TemporaryDirectory();
    const old = cdbBytes([["uid/0", "D"]]);
    directory.write({ cdb: old });
    const outcome = await run(tcprules, [directory.file("cdb")], { input: "1.:nonsense\n" });
    expect(outcome).toMatchObject({
      exitCode: 100,
      stderr: [
        "unable to parse this line: 1.:nonsense (line 1: neither allow nor deny follows the colon)",
      ],
    });
    expect(readFileSync(directory.file("cdb"))).toEqual(old);
  });

  test("s6-tcprules does not repeat itself without end", async () => {
    using directory = new TemporaryDirectory();
    const words = ["--format=djb", directory.file("cdb")];
    const { stderr } = await run(tcprules, words, { input: "x\n".repeat(1000) });
    expect(stderr.length).toBe(21);
    expect(stderr.at(-1)).toBe("warning: 980 more warnings");
  });
});

describe("s6-tcprulescheck", () => {
  test("s6-tcprulescheck reports which rules it takes a database without records for", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ cdb: cdbBytes([]) });
    const cdb = directory.file("cdb");
    expect(await run(tcprulescheck, [cdb])).toEqual({
      exitCode: 0,
      stdout: "default:\ndeny connection\n",
      stderr: [
        expect.stringMatching(/^warning: .*cdb has no records: it is taken for rules of s6,/),
      ],
    });
    for (const [format, verdict] of [
      ["djb", "allow"],
      ["s6", "deny"],
    ]) {
      expect(await run(tcprulescheck, [`--format=${format}`, cdb])).toEqual({
        exitCode: 0,
        stdout: `default:\n${verdict} connection\n`,
        stderr: [],
      });
    }
  });

  test.each([
    [{}, "default:\nallow connection\n"],
    [{ TCPREMOTEIP: "1.2.3.4" }, "rule 1.:\nset environment variable A=b\nallow connection\n"],
    [{ TCPREMOTEIP: "2.2.2.2", TCPREMOTEHOST: "h" }, "rule =h:\ndeny connection\n"],
  ])("s6-tcprulescheck answers for %j as ucspi-tcp does", async (environment, stdout) => {
    using directory = new TemporaryDirectory();
    directory.write({
      cdb: cdbBytes([
        ["1.", "+A=b\0"],
        ["=h", "D\0+A=b\0"],
      ]),
    });
    const outcome = await run(tcprulescheck, [directory.file("cdb")], { environment });
    expect(outcome).toEqual({ exitCode: 0, stdout, stderr: [] });
  });

  test("s6-tcprulescheck answers for s6 rules as s6 does", async () => {
    using directory = new TemporaryDirectory();
    directory.write({
      cdb: cdbBytes([
        ["ip4/1.0.0.0_8", "A\0\x06A=b\0C\0\0\0"],
        ["uid/0", "A"],
      ]),
    });
    const cdb = directory.file("cdb");
    const allowed = await run(tcprulescheck, [cdb], { environment: { TCPREMOTEIP: "1.2.3.4" } });
    expect(allowed.stdout).toBe(
      "rule ip4/1.0.0.0_8:\nset environment variable A=b\nunset environment variable C\n" +
        "allow connection\n",
    );
    expect((await run(tcprulescheck, [cdb])).stdout).toBe("default:\ndeny connection\n");
  });

  test("s6-tcprulescheck exits with an error without a sound file", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ cdb: cdbBytes([["1.", "D\0"]]).subarray(0, 2060) });
    expect((await run(tcprulescheck, [directory.file("cdb")])).exitCode).toBe(111);
    expect((await run(tcprulescheck, [directory.file("missing")])).exitCode).toBe(111);
  });
});

describe("s6-accessrules-lint", () => {
  test("s6-accessrules-lint prints a line for each finding and exits 1 for more than notes", async () => {
    using directory = new TemporaryDirectory();
    directory.write({ "rules/ip4/10.0.0.1_8/allow": "" });
    const expected = {
      exitCode: 1,
      stdout:
        "warning: ip4/10.0.0.1_8 is never looked up: it has bits set past its length; " +
        "ip4/10.0.0.0_8 is the network [host-bits]\n",
    };
    expect(await run(accessrulesLint, [directory.file("rules")])).toMatchObject(expected);
    expect(await run(accessrulesLint, ["-i", directory.file("rules")])).toMatchObject(expected);
  });

  test("s6-accessrules-lint exits 0 when there is nothing, or only notes, and prints JSON", async () => {
    using directory = new TemporaryDirectory();
    directory.write({
      cdb: cdbBytes([
        ["uid/0", "D"],
        ["uid/0", "D"],
      ]),
    });
    const outcome = await run(accessrulesLint, ["--json", "-x", directory.file("cdb")]);
    expect(outcome.exitCode).toBe(0);
    expect(JSON.parse(outcome.stdout)).toMatchObject([{ severity: "note", code: "duplicate" }]);
  });

  test("s6-accessrules-lint without an operand is a usage error", async () => {
    expect((await run(accessrulesLint, [])).exitCode).toBe(100);
    expect((await run(accessrulesLint, ["-x", "/nonexistent"])).exitCode).toBe(111);
  });
});
