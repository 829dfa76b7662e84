/** The cost of starting a short command over a bare node. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { median } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Start of a short command";

const ROUNDS = 60;

export async function measure({ root }: Bench): Promise<Row[]> {
  const bin = join(root, "bin");
  const commands: Record<string, readonly string[]> = {
    "s6-getservbyname 25 tcp": [join(bin, "s6-getservbyname"), "25", "tcp"],
    "s6-connlimit": [join(bin, "s6-connlimit")],
    "s6-softlimit -o 64": [join(bin, "s6-softlimit"), "-o", "64", "/bin/true"],
  };
  return Object.entries(commands).map(([what, words]) => compareStart(what, words));
}

function compareStart(what: string, words: readonly string[]): Row {
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(timeOf(words));
    bare.push(timeOf([process.execPath, "-e", "0"]));
  }
  const [oursMs, bareMs] = [median(ours), median(bare)];
  return {
    what: `${what}, against node -e 0`,
    ours: `${oursMs.toFixed(1)} ms`,
    peer: `${bareMs.toFixed(1)} ms`,
    ratio: (oursMs / bareMs).toFixed(2),
    goal: "at most 1.25",
  };
}

function timeOf([command = "", ...words]: readonly string[]): number {
  const env = { ...process.env, PROTO: "TCP", TCPCONNNUM: "0" };
  const start = performance.now();
  spawnSync(command, words, { stdio: "ignore", env });
  return performance.now() - start;
}
