/** The connections a second of a JavaScript handler, and the cost of an idle one. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compare, nextLine, rateRow, startSubject } from "./support/servers.ts";
import type { Bench, Row, Subject } from "./support/servers.ts";

export const question = "A JavaScript handler for each connection";

const LOAD = { connections: 60_000, concurrency: 50, rounds: 5 };
const IDLE = 10_000;

export async function measure(bench: Bench): Promise<Row[]> {
  const subjects: Subject[] = [
    { name: "ours", words: [process.execPath, "--expose-gc", program("ours", bench)] },
    { name: "bare", words: [process.execPath, program("bare", bench)] },
    {
      name: "spawning",
      words: ["s6-tcpserver", "-q", "-1", "-c", "200", "-C", "200", "127.0.0.1", "0", "/bin/true"],
      path: join(bench.root, "bin"),
    },
  ];
  const results = await compare(bench, subjects, LOAD);
  const ours = results.get("ours");
  return [
    rateRow("against our own spawning server", ours, results.get("spawning"), "at least 4"),
    rateRow("against a bare node:net server", ours, results.get("bare"), "at least 0.95"),
    await idleRow(bench, subjects[0]),
  ];
}

function program(name: string, { root }: Bench): string {
  return fileURLToPath(new URL(`file://${join(root, "bench", "support", `${name}-handler.mjs`)}`));
}

async function idleRow(bench: Bench, subject: Subject | undefined): Promise<Row> {
  if (subject === undefined) throw new Error("no server to measure");
  const server = await startSubject(subject);
  const pid = server.process.pid ?? 0;
  await collectGarbage(server.process, pid);
  const before = residentBytes(pid);
  const words = [bench.load, server.port, IDLE, 100, "hold"].map(String);
  const clients = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(clients, "exit");
  await nextLine(clients);
  await collectGarbage(server.process, pid);
  const each = (residentBytes(pid) - before) / IDLE;
  clients.stdin.end();
  await exited;
  await server.stop();
  const kib = (each / 1024).toFixed(1);
  return {
    what: `${IDLE} idle connections, each`,
    ours: `${kib} KiB`,
    peer: "-",
    ratio: "-",
    goal: "at most 8 KiB",
  };
}

/** The server collects on SIGUSR2 and says so on its output. */
async function collectGarbage(child: ChildProcess, pid: number): Promise<void> {
  const said = nextLine(child);
  process.kill(pid, "SIGUSR2");
  await said;
}

function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
  return pages * 4096;
}
