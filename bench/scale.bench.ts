/** Does the cost of a connection stay the same, however many are being served? */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { nextLine, startSubject } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Concurrent children";

const STEPS = [10, 100, 1000, 5000];

export async function measure(bench: Bench): Promise<Row[]> {
  const costs: { readonly children: number; readonly microseconds: number }[] = [];
  for (const children of STEPS) {
    costs.push({ children, microseconds: await costOf(bench, children) });
  }
  const [first] = costs;
  return costs.map(({ children, microseconds }) => ({
    what: `${children} children at a time, server CPU for each`,
    ours: `${microseconds.toFixed(0)} µs`,
    peer: `${(first?.microseconds ?? NaN).toFixed(0)} µs (10 children)`,
    ratio: (microseconds / (first?.microseconds ?? NaN)).toFixed(2),
    goal: "no growth: linear in all",
  }));
}

/** CPU time of the server for one connection, from accept to the end of its child. */
async function costOf(bench: Bench, children: number): Promise<number> {
  const limit = String(children);
  const words = [
    "s6-tcpserver",
    "-q",
    "-1",
    "-c",
    limit,
    "-C",
    limit,
    "127.0.0.1",
    "0",
    "/bin/cat",
  ];
  const server = await startSubject({ name: "ours", words, path: join(bench.root, "bin") });
  const pid = server.process.pid ?? 0;
  const before = cpuMicroseconds(pid);
  let served = 0;
  while (served < Math.max(children, 1000)) {
    const load = [bench.load, server.port, children, 20, "hold"].map(String);
    const clients = spawn(process.execPath, load, { stdio: ["pipe", "pipe", "inherit"] });
    const exited = once(clients, "exit");
    await nextLine(clients);
    await untilChildren(pid, children);
    clients.stdin.end();
    await exited;
    await untilChildren(pid, 0);
    served += children;
  }
  const cost = (cpuMicroseconds(pid) - before) / served;
  await server.stop();
  return cost;
}

/** Time on a processor, of the thread that serves; in finer steps than the ticks of /proc/PID/stat. */
function cpuMicroseconds(pid: number): number {
  const [nanoseconds = "0"] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ");
  return Number(nanoseconds) / 1000;
}

/** Wait until the server has this many children. */
async function untilChildren(pid: number, count: number): Promise<void> {
  for (;;) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
    if (children.split(" ").filter(Boolean).length === count) return;
    await setTimeout(20);
  }
}
