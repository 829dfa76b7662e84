/**
 * The CPU time of our TLS server, beside that of another build of ours: UCSPI_BASE names the root of another
 * checkout that has been built. A rate is what a second of CPU of the server and its engine is enough for, which
 * hardly depends on what else the machine does.
 */

import { readdirSync, readFileSync } from "node:fs";
import { alternate, rateRow } from "./support/servers.ts";
import type { Bench, Row, Running, Subject, Trial } from "./support/servers.ts";
import { Kit, STREAM_MEGABYTES } from "./support/tls.ts";

export const question = "TLS, CPU time beside another build";

const ROUNDS = 7;
const CONNECTIONS = 800;
const WARM_UP = 1500;
const CONCURRENCY = 20;
/** The clock ticks of /proc in a second (USER_HZ). */
const TICKS_PER_SECOND = 100;
const GOAL = "at least 0.98";

const HANDSHAKES = [
  ["1.2", "full"],
  ["1.2", "resume"],
  ["1.3", "full"],
  ["1.3", "resume"],
] as const;

const STREAMS = [
  { what: "program to client", direction: "receive", program: "pour" },
  { what: "client to program", direction: "send", program: "drain" },
] as const;

export async function measure(bench: Bench): Promise<Row[]> {
  return Kit.with(bench, async (kit) => [...(await handshakes(kit)), ...(await streams(kit))]);
}

async function handshakes(kit: Kit): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [version, mode] of HANDSHAKES) {
    const load = (server: Running, count: number) =>
      kit.load(server, version, mode, count, CONCURRENCY);
    const trials = [kit.ours("hello"), ...kit.base("hello")].map((subject): Trial => ({
      ...subject,
      warmUp: (server) => load(server, WARM_UP),
      measure: (server) => perCpuSecond(server, CONNECTIONS, () => load(server, CONNECTIONS)),
    }));
    rows.push(await row(`handshakes, TLS ${version}, ${mode}`, trials));
  }
  return rows;
}

async function streams(kit: Kit): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { what, direction, program } of STREAMS) {
    const load = (server: Running) => kit.load(server, "1.3", direction, STREAM_MEGABYTES);
    const trialOf = (subject: Subject): Trial => ({
      ...subject,
      warmUp: load,
      measure: (server) => perCpuSecond(server, STREAM_MEGABYTES, () => load(server)),
    });
    const trials = [kit.ours(program), ...kit.base(program)].map(trialOf);
    rows.push(await row(`MB, ${what}`, trials));
  }
  return rows;
}

async function row(what: string, trials: readonly Trial[]): Promise<Row> {
  const results = await alternate(trials, ROUNDS);
  return rateRow(`${what}, a second of CPU`, results.get("ours"), results.get("base"), GOAL);
}

/** The load's result with the number of units that a second of CPU was enough for as its rate. */
async function perCpuSecond(
  { process: { pid = 0 } }: Running,
  units: number,
  load: () => ReturnType<Trial["measure"]>,
): ReturnType<Trial["measure"]> {
  const before = cpuSeconds(pid);
  const result = await load();
  return { ...result, rate: units / (cpuSeconds(pid) - before) };
}

/** The CPU time so far of a server and its engine. */
function cpuSeconds(server: number): number {
  let ticks = 0;
  for (const pid of [server, ...enginesOf(server)]) {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]); // utime and stime
  }
  return ticks / TICKS_PER_SECOND;
}

function enginesOf(server: number): number[] {
  const pids = readdirSync(`/proc/${server}/task`).flatMap((task) =>
    readFileSync(`/proc/${server}/task/${task}/children`, "latin1").trim().split(" "),
  );
  return pids.filter((pid) => pid !== "" && isEngine(pid)).map(Number);
}

function isEngine(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("ucspi-tls-engine");
  } catch {
    return false; // a program that has ended
  }
}
