/** The connections a second of the super-server, with a program for each. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, hasCommand, peerSuite, rateRow, tailRow } from "./support/servers.ts";
import type { Bench, Row, Subject } from "./support/servers.ts";

export const question = "Connections per second, a program for each";

const LOAD = { connections: 6000, concurrency: 20, rounds: 5 };
const SERVER = ["s6-tcpserver", "-q", "-1", "-c", "200", "-C", "200", "127.0.0.1", "0"];

export async function measure(bench: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    return await measureIn(bench, prepare(folder, bench));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Files {
  /** A statically linked program that does nothing. */
  readonly program: string;
  readonly rules: string;
  readonly djbRules: string;
}

function prepare(folder: string, { root }: Bench): Files {
  const [program, rules, djbRules] = [
    join(folder, "true"),
    join(folder, "s6"),
    join(folder, "djb"),
  ];
  writeFileSync(`${program}.c`, "int main(void) { return 0; }\n");
  run("cc", ["-O2", "-static", "-o", program, `${program}.c`]);
  const text = "127.:allow\n10.0.0.:allow\n192.168.:deny\n";
  run(join(root, "bin", "s6-tcprules"), [rules], text);
  run(join(root, "bin", "s6-tcprules"), ["--format=djb", djbRules], `${text}:deny\n`);
  return { program, rules, djbRules };
}

function run(command: string, words: readonly string[], input = ""): void {
  const { status, stderr } = spawnSync(command, words, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

async function measureIn(bench: Bench, files: Files): Promise<Row[]> {
  const results = await compare(bench, subjects(bench, files), LOAD);
  const plain = results.get("ours");
  const access = results.get("ours, access");
  const [c, cAccess] = [results.get("C"), results.get("C, access")];
  const djb = results.get("tcpserver");
  return [
    rateRow("access control, against the C suite", access, cAccess, "at least 1.5"),
    rateRow("access control, against ucspi-tcp's tcpserver -x", access, djb, "at least 0.95"),
    tailRow("access control, p99 latency against the C suite", access, cAccess, "at most 1"),
    tailRow("access control, p99 latency against tcpserver -x", access, djb, "at most 1"),
    rateRow("no access control, against the C suite", plain, c, "at least 0.95"),
  ];
}

function subjects({ root }: Bench, { program, rules, djbRules }: Files): Subject[] {
  const suite = peerSuite();
  const access = ["s6-tcpserver-access", "-v0", "-H", "-x", rules, program];
  const bin = join(root, "bin");
  const ours: Subject[] = [
    { name: "ours", words: [...SERVER, program], path: bin },
    { name: "ours, access", words: [...SERVER, ...access], path: bin },
  ];
  const theirs: Subject[] =
    suite === undefined
      ? []
      : [
          { name: "C", words: [...SERVER, program], path: suite },
          { name: "C, access", words: [...SERVER, ...access], path: suite },
        ];
  const options = [
    "-q",
    "-1",
    "-c",
    "200",
    "-b",
    "1024",
    "-H",
    "-R",
    "-l",
    "local",
    "-x",
    djbRules,
  ];
  const djb = { name: "tcpserver", words: ["tcpserver", ...options, "127.0.0.1", "PORT", program] };
  return [...ours, ...theirs, ...(hasCommand("tcpserver") ? [djb] : [])];
}
