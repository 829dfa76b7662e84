/** The cost of an idle TLS connection, beside its program. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { nextLine, startSubject } from "./support/servers.ts";
import type { Bench, LoadResult, Row, Running } from "./support/servers.ts";
import { Kit } from "./support/tls.ts";

export const question = "Idle TLS connections";

const IDLE = 2000;
/** Opened and closed before, so that what the first ones cost once is not counted. */
const BEFORE = 200;
const CONCURRENCY = 50;

export async function measure(bench: Bench): Promise<Row[]> {
  return Kit.with(bench, async (kit) => {
    const server = await startSubject(kit.ours("stay", IDLE + BEFORE));
    await holding(kit, server, BEFORE, () => undefined);
    const before = residentBytes(processesOf(server));
    const rows = await holding(kit, server, IDLE, ({ failed }) => {
      const processes = processesOf(server);
      const each = (residentBytes(processes) - before) / IDLE / 1024;
      return [
        idleRow("memory of each, beside its program", `${each.toFixed(1)} KiB`, "at most 64 KiB"),
        idleRow("processes, beside the programs", String(processes.length), "at most 2"),
        idleRow("connections that are held", String(IDLE - failed), `at least ${IDLE}`),
      ];
    });
    await server.stop();
    return rows;
  });
}

function idleRow(what: string, ours: string, goal: string): Row {
  return { what: `${IDLE} idle connections: ${what}`, ours, peer: "-", ratio: "-", goal };
}

/** Look while so many connections are open. */
async function holding<T>(
  kit: Kit,
  server: Running,
  connections: number,
  look: (result: LoadResult) => T,
): Promise<T> {
  const words = kit.clientWords(server, ["1.3", "hold", connections, CONCURRENCY]);
  const [command = "", ...rest] = words;
  const clients = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(clients, "exit");
  const seen = look(JSON.parse(await nextLine(clients)) as LoadResult);
  clients.stdin.end();
  await exited;
  return seen;
}

/** The server and its engine: Node, and not one of the programs. */
function processesOf({ process: server }: Running): number[] {
  const pid = server.pid ?? 0;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  const engines = children
    .split(" ")
    .map(Number)
    .filter((child) => child > 0 && executableOf(child) === process.execPath);
  return [pid, ...engines];
}

/** Undefined for a program that ends just now. */
function executableOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

function residentBytes(pids: readonly number[]): number {
  const pages = pids.map((pid) => readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
  return pages.reduce((sum, count) => sum + Number(count) * 4096, 0);
}
