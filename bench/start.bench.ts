/** The cost of starting a short command over a bare node. */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { median } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Start of a short command";

const ROUNDS = 60;

/** Those of bin/, and those that npm puts on PATH. */
const LAUNCHERS = { native: ["bin"], portable: ["dist", "bin"] } as const;

const COMMANDS: readonly (readonly [string, ...string[]])[] = [
  ["s6-getservbyname", "25", "tcp"],
  ["s6-connlimit", "/bin/true"],
  ["s6-softlimit", "-o", "64", "/bin/true"],
];

export async function measure({ root }: Bench): Promise<Row[]> {
  return Object.entries(LAUNCHERS).flatMap(([kind, folders]) =>
    COMMANDS.map(([name, ...words]) => {
      const what = `${[name, ...words].join(" ")}, ${kind} launcher`;
      const goal = kind === "native" ? "at most 1.25" : "none: the native ones are for speed";
      return compareStart(what, [join(root, ...folders, name), ...words], goal);
    }),
  );
}

function compareStart(what: string, words: readonly string[], goal: string): Row {
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
    goal,
  };
}

function timeOf([command = "", ...words]: readonly string[]): number {
  const env = { ...process.env, PROTO: "TCP", TCPCONNNUM: "0" };
  const start = performance.now();
  spawnSync(command, words, { stdio: "ignore", env });
  return performance.now() - start;
}
