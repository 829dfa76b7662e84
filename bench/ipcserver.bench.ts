/** The local connections a second of the super-server on a Unix-domain socket, with a program for each. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compare, peerSuite, rateRow, tailRow } from "./support/servers.ts";
import type { Bench, Row, Subject } from "./support/servers.ts";

export const question = "Local connections per second, a program for each";

const LOAD = { connections: 6000, concurrency: 20, rounds: 7 };
const SERVER = ["s6-ipcserver", "-q", "-1", "-c", "200", "-C", "200"];

export async function measure(bench: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    return await measureIn(bench, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureIn(bench: Bench, folder: string): Promise<Row[]> {
  const results = await compare(bench, subjects(bench, folder), LOAD);
  const [plain, access] = [results.get("ours"), results.get("ours, access")];
  const [c, cAccess] = [results.get("C"), results.get("C, access")];
  const least = results.get("least");
  return [
    rateRow("access control, against the C suite", access, cAccess, "at least 1.5"),
    rateRow("access control, against accept, vfork and exec in C", access, least, "at least 0.95"),
    tailRow("access control, p99 latency against the C suite", access, cAccess, "at most 1"),
    rateRow("no access control, against the C suite", plain, c, "at least 0.95"),
  ];
}

function subjects({ root }: Bench, folder: string): Subject[] {
  const bin = join(root, "bin");
  const program = compileProgram(folder);
  const access = ["s6-ipcserver-access", "-v0", "-x", compileRules(folder, bin), program];
  const least = join(folder, "vfork-server");
  run("cc", ["-O2", "-o", least, join(root, "bench", "support", "vfork-server.c")]);
  const server = (name: string, path: string, words: readonly string[]): Subject => {
    const socket = join(folder, name.replace(", ", "-"));
    return { name, path, socket, words: [...SERVER, socket, ...words] };
  };
  const suite = peerSuite();
  const theirs =
    suite === undefined ? [] : [server("C", suite, [program]), server("C, access", suite, access)];
  const socket = join(folder, "least");
  return [
    server("ours", bin, [program]),
    server("ours, access", bin, access),
    ...theirs,
    { name: "least", socket, words: [least, "-u", socket, program] },
  ];
}

/** A statically linked program that does nothing. */
function compileProgram(folder: string): string {
  const program = join(folder, "true");
  writeFileSync(`${program}.c`, "int main(void) { return 0; }\n");
  run("cc", ["-O2", "-static", "-o", program, `${program}.c`]);
  return program;
}

/** Rules that admit this user, by a key that is looked up after another. */
function compileRules(folder: string, bin: string): string {
  const rules = join(folder, "rules");
  const rule = join(rules, "uid", String(process.getuid?.()));
  mkdirSync(rule, { recursive: true });
  writeFileSync(join(rule, "allow"), "");
  run(join(bin, "s6-accessrules-cdb-from-fs"), [`${rules}.cdb`, rules]);
  return `${rules}.cdb`;
}

function run(command: string, words: readonly string[]): void {
  const { status, stderr } = spawnSync(command, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}
