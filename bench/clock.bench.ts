/** The speed of turning labels of logs into local time, against s6's own s6-tai64nlocal. */

import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCommand, median, peerSuite } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Labels of logs to local time";

const MEGABYTES = 512;
const ROUNDS = 5;
const GOAL = "at least 1";

export async function measure({ root }: Bench): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    const ours = join(root, "bin", "s6-tai64nlocal");
    return Object.entries(LOGS).map(([what, lineOf]) => {
      const log = join(directory, "log");
      writeLog(log, lineOf);
      return compare(`${what}, MB/s`, [ours, peerCommand()], log);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const MESSAGES = ["accept 12/40", "end pid 4711 exitcode 0", "GET /index.html HTTP/1.1 200 1234"];

/** The lines of a log, by their number. */
const LOGS: Readonly<Record<string, (index: number) => string>> = {
  "lines of a log, three a second": (index) =>
    `${label(index / 3, index)} ${MESSAGES[index % 3]} from 192.0.2.${index % 250}\n`,
  "long lines": (index) => `${label(index, index)} ${"x".repeat(500)}\n`,
  "lines without labels": (index) => `${MESSAGES[index % 3]} from 192.0.2.${index % 250}\n`,
};

function label(seconds: number, index: number): string {
  const second = (0x4000_0000_6553_f125n + BigInt(Math.floor(seconds))).toString(16);
  return `@${second}${((index * 7919) % 1_000_000_000).toString(16).padStart(8, "0")}`;
}

function writeLog(file: string, lineOf: (index: number) => string): void {
  const block = Array.from({ length: 20_000 }, (_, index) => lineOf(index)).join("");
  const copies = Math.ceil((MEGABYTES * 1e6) / block.length);
  writeFileSync(file, Buffer.alloc(copies * block.length, block));
}

/** That of the C suite's own directory, else of PATH. */
function peerCommand(): string | undefined {
  const own = join(peerSuite() ?? "", "s6-tai64nlocal");
  if (peerSuite() !== undefined && existsSync(own)) return own;
  return hasCommand("s6-tai64nlocal") ? "s6-tai64nlocal" : undefined;
}

function compare(
  what: string,
  [ours, peer]: readonly [string, string | undefined],
  log: string,
): Row {
  if (peer === undefined) return { what, ours: "-", peer: "absent", ratio: "-", goal: GOAL };
  const [oursRates, peerRates]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    oursRates.push(rateOf(ours, log));
    peerRates.push(rateOf(peer, log));
  }
  const [oursRate, peerRate] = [median(oursRates), median(peerRates)];
  return {
    what,
    ours: `${oursRate.toFixed(0)} MB/s`,
    peer: `${peerRate.toFixed(0)} MB/s`,
    ratio: (oursRate / peerRate).toFixed(2),
    goal: GOAL,
  };
}

/** Megabytes a second, the start of the process included. */
function rateOf(command: string, log: string): number {
  const stdin = openSync(log, "r");
  const start = performance.now();
  const { status } = spawnSync(command, {
    stdio: [stdin, "ignore", "inherit"],
    env: { ...process.env, TZ: "Europe/Berlin" },
  });
  const elapsedMs = performance.now() - start;
  closeSync(stdin);
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
  return (MEGABYTES * 1000) / elapsedMs;
}
