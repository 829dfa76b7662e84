/**
 * How fast are access rules? `measureCompile`: a million lines of tcprules text, our command against
 * ucspi-tcp's, start to end. `measureChecks`: checks against a hundred thousand networks, the file's
 * freshness looked at each time. `measureEqual`: very many records with one key, twice as many in how much
 * more time, and against ucspi-tcp's command.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CdbRules, CdbRuleSet, CdbWriter, TcpRulesCompiler } from "../src/access/index.ts";
import { formatPrefix, maskIp } from "../src/net/index.ts";
import { loadPosix, replaceFile } from "../src/posix/index.ts";

import type { IpAddress } from "../src/net/index.ts";
import { hasCommand } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Access rules";

export async function measure({ root }: Bench): Promise<Row[]> {
  const { checksPerSecond } = measureChecks();
  const checks: Row = {
    what: `checks a second in one process, ${NETWORKS} networks, freshness looked at each time`,
    ours: `${checksPerSecond}/s`,
    peer: "-",
    ratio: "-",
    goal: "at least 200000/s",
  };
  const command = join(root, "bin", "s6-tcprules");
  const lines = compileRow(
    `compiling ${LINES} lines of text, time against ucspi-tcp's tcprules`,
    command,
    ruleLines(),
  );
  const equalLines = compileRow(
    `compiling ${EQUAL} lines with one address, time against ucspi-tcp's tcprules`,
    command,
    EQUAL_LINE.repeat(EQUAL),
  );
  return [checks, lines, equalLines, ...equalRows()];
}

/** Twice as many equal keys take twice the time, or a little more. */
function equalRows(): Row[] {
  const [fewer, more] = [measureEqual(EQUAL), measureEqual(2 * EQUAL)];
  const row = (what: string, [once, twice]: readonly [number, number]): Row => ({
    what: `${what} ${2 * EQUAL} records with one key, time against ${EQUAL}`,
    ours: `${twice.toFixed(1)} ms`,
    peer: `${once.toFixed(1)} ms`,
    ratio: (twice / once).toFixed(2),
    goal: "at most 2.5",
  });
  return [
    row("compiling", [fewer.compileMs, more.compileMs]),
    row("loading", [fewer.loadMs, more.loadMs]),
  ];
}

function compileRow(what: string, command: string, text: string): Row {
  const goal = "at most 1";
  if (!hasCommand("tcprules")) return { what, ours: "-", peer: "absent", ratio: "-", goal };
  const { oursMs, peerMs, ratio } = measureCompile(command, "tcprules", text);
  return {
    what,
    ours: `${oursMs.toFixed(0)} ms`,
    peer: `${peerMs.toFixed(0)} ms`,
    ratio: ratio.toFixed(2),
    goal,
  };
}

/** The best of several runs, ours and the peer's in turn; a ratio below 1 means that we are faster. */
interface Comparison {
  readonly oursMs: number;
  readonly peerMs: number;
  readonly ratio: number;
}

const RUNS = 7;
const LINES = 1_000_000;
const EQUAL = 60_000;
const EQUAL_LINE = "10.1.2.3:allow\n";
const NETWORKS = 100_000;
const CHECKS = 1_000_000;

/** Compile a text with `command` (our s6-tcprules) and with `peer` (tcprules). */
function measureCompile(command: string, peer: string, text: string): Comparison {
  const directory = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    const rules = join(directory, "rules");
    writeFileSync(rules, text);
    const files = ["cdb", "tmp"].map((name) => join(directory, name));
    let [oursMs, peerMs] = [Infinity, Infinity];
    for (let run = 0; run < RUNS; run += 1) {
      oursMs = Math.min(oursMs, timeOf(command, ["--format=djb", ...files], rules));
      peerMs = Math.min(peerMs, timeOf(peer, files, rules));
    }
    return { oursMs, peerMs, ratio: oursMs / peerMs };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The best times in memory for so many records with one key. */
function measureEqual(count: number): { readonly compileMs: number; readonly loadMs: number } {
  const text = Buffer.from(EQUAL_LINE.repeat(count));
  const file = Buffer.alloc(2 * text.length + 32 * count + 4096);
  let [compileMs, loadMs] = [Infinity, Infinity];
  for (let run = 0; run < RUNS; run += 1) {
    let size = 0;
    const write = (bytes: Uint8Array, position: number): void => {
      file.set(bytes, position);
      size = Math.max(size, position + bytes.length);
    };
    const start = performance.now();
    const compiler = new TcpRulesCompiler("s6", { write }, () => {});
    compiler.push(text);
    compiler.finish();
    const compiled = performance.now();
    new CdbRuleSet(file.subarray(0, size)).probe("ip4/10.1.2.3_32");
    compileMs = Math.min(compileMs, compiled - start);
    loadMs = Math.min(loadMs, performance.now() - compiled);
  }
  return { compileMs, loadMs };
}

/** Checks per second in one process against a file of 100,000 networks, half of them IPv6. */
function measureChecks(): { readonly checksPerSecond: number } {
  const directory = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    const path = join(directory, "rules.cdb");
    writeNetworks(path);
    const rules = new CdbRules(loadPosix(), path);
    const clients = Array.from({ length: 4096 }, (_, index) => randomIp(index % 2 === 0 ? 4 : 6));
    waitUntilTrusted(rules, clients);
    const start = performance.now();
    for (let check = 0; check < CHECKS; check += 1) {
      const client = clients[check & 4095];
      if (client !== undefined) rules.checkIp(client);
    }
    return { checksPerSecond: Math.round((CHECKS * 1000) / (performance.now() - start)) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * A file that has just changed is read at every check for a short while, and only after some thousand
 * checks is there an index.
 */
function waitUntilTrusted(rules: CdbRules, clients: readonly IpAddress[]): void {
  const end = performance.now() + 200;
  for (let round = 0; round < 2 || performance.now() < end; round += 1) {
    for (const client of clients) rules.checkIp(client);
  }
}

function timeOf(command: string, words: readonly string[], input: string): number {
  const stdin = openSync(input, "r");
  const start = performance.now();
  const { status } = spawnSync(command, words, { stdio: [stdin, "ignore", "inherit"] });
  const elapsed = performance.now() - start;
  closeSync(stdin);
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  return elapsed;
}

function ruleLines(): string {
  const lines = Array.from({ length: LINES }, () => {
    const octets = Array.from(randomIp(4).bytes);
    const address = random(10) < 7 ? octets.join(".") : `${octets.slice(0, 3).join(".")}.`;
    return `${address}:${random(3) === 0 ? "deny" : "allow"}\n`;
  });
  return lines.join("");
}

function writeNetworks(path: string): void {
  replaceFile(loadPosix(), path, { tag: "bench" }, (sink) => {
    const writer = new CdbWriter(sink);
    const [allow, deny] = [Buffer.from("A\0\0\0\0"), Buffer.from("D")];
    for (let network = 0; network < NETWORKS; network += 1) {
      const family = network % 2 === 0 ? 4 : 6;
      const bits = family === 4 ? 8 + random(25) : 16 + random(113);
      const prefix = { address: maskIp(randomIp(family), bits), bits };
      const key = Buffer.from(`ip${family}/${formatPrefix(prefix, "_")}`);
      writer.add(key, random(2) === 0 ? allow : deny);
    }
    writer.finish();
  });
}

/** IPv6 addresses share a prefix, as those of one registry do. */
function randomIp(family: 4 | 6): IpAddress {
  const bytes = Uint8Array.from({ length: family === 4 ? 4 : 16 }, () => random(256));
  if (family === 6) bytes.set([0x20, 0x01]);
  return { family, bytes };
}

let state = 20_240_601;

/** The same numbers in every run: 0 to `below` - 1. */
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) % below;
}
