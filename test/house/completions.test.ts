import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { peer, ROOT } from "../support/scene.ts";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ucspi-completions-"));
  execFileSync(process.execPath, [join(ROOT, "scripts", "completions.mjs"), folder]);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The words that a shell offers for the last word of a line, and those that it must not offer. */
interface Case {
  readonly title: string;
  readonly line: string;
  readonly offers: readonly string[];
  readonly without?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    title: "options of a command",
    line: "s6-tcpserver --d",
    offers: ["--drain="],
    without: ["--also="],
  },
  {
    title: "the names that an argument can be",
    line: "s6-tcpserver --refusals=",
    offers: ["text", "json"],
  },
  {
    title: "a letter's argument",
    line: "s6-tcpserver-access -H -x package.j",
    offers: ["package.json"],
  },
  {
    title: "the operands of a command",
    line: "s6-getservbyname smtp t",
    offers: ["tcp"],
    without: ["udp"],
  },
  {
    title: "commands after a link's own operands",
    line: "s6-tcpserver -c 10 -vC5 127.0.0.1 7000 s6-tcpserver-a",
    offers: ["s6-tcpserver-access"],
    without: ["s6-tcpserver"],
  },
  {
    title: "options of a link within a chain",
    line: "s6-tcpserver 127.0.0.1 7000 s6-tcpserver-access --req",
    offers: ["--require-name"],
  },
  {
    title: "the words of the multi-call entry",
    line: "ucspi s6-getserv",
    offers: ["s6-getservbyname"],
  },
];

function environment(): NodeJS.ProcessEnv {
  const path = `${join(ROOT, "bin")}:${process.env["PATH"] ?? ""}`;
  return { PATH: path, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
}

/** Run a shell; the lines it prints. */
function shellLines(shell: string, words: readonly string[]): readonly string[] {
  const output = execFileSync(shell, words, {
    cwd: ROOT,
    encoding: "utf8",
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  return output.split("\n").filter((line) => line !== "");
}

function check(offered: readonly string[], { offers, without = [] }: Case): void {
  expect(offered).toEqual(expect.arrayContaining([...offers]));
  for (const word of without) expect(offered).not.toContain(word);
}

const bash = peer("bash");

describe.skipIf(bash.isMissing)(`completion in bash${bash.why}`, () => {
  /** The variables that readline sets: it splits words at blanks, and at = and : too. */
  function complete(line: string): readonly string[] {
    const words: string[] = line.match(/[^\s=:]+|[=:]+/g) ?? [];
    if (/\s$/.test(line)) words.push("");
    const script = [
      'source "$1"; shift',
      'COMP_LINE=$1 COMP_POINT=${#1}; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))',
      '_ucspi; printf "%s\\n" "${COMPREPLY[@]}"',
    ].join("\n");
    const file = join(folder, "ucspi.bash");
    return shellLines("bash", ["--norc", "-c", script, "bash", file, line, ...words]);
  }

  test.each(CASES)("the completion offers $title", (example) => {
    check(complete(example.line), example);
  });

  test("the completion in bash offers nothing for a number", () => {
    expect(complete("s6-tcpserver -c ")).toEqual([]);
  });
});

const fish = peer("fish");

describe.skipIf(fish.isMissing)(`completion in fish${fish.why}`, () => {
  function complete(line: string): readonly string[] {
    const script = 'source $argv[1]; complete -C "$argv[2]"';
    const lines = shellLines("fish", ["-c", script, join(folder, "ucspi.fish"), line]);
    return lines.map((text) => text.replace(/\t.*/, "").replace(/^--refusals=/, ""));
  }

  test.each(CASES)("the completion offers $title", (example) => {
    check(complete(example.line), {
      ...example,
      offers: example.offers.map((word) => word.replace(/=$/, "")),
    });
  });
});

const zsh = peer("zsh");

test.skipIf(zsh.isMissing)(`zsh loads its completion without errors${zsh.why}`, () => {
  expect(shellLines("zsh", ["-n", join(folder, "_ucspi")])).toEqual([]);
});
