/** Starting servers, loading them, and comparing the medians of runs that alternate. */

import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** What a bench is given. */
export interface Bench {
  /** The load generator, to be run with node. */
  readonly load: string;
  /** The root of the package. */
  readonly root: string;
}

/** A line of the table of results. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly peer: string;
  readonly ratio: string;
  readonly goal: string;
}

/** A server to be measured: how it is started, and on which port if it cannot tell. */
export interface Subject {
  readonly name: string;
  /** The words; "PORT" stands for a free port where the server cannot choose one itself. */
  readonly words: readonly string[];
  /** The folder whose commands come first. */
  readonly path?: string | undefined;
  /** What each client sends before it ends its side; by default clients only listen. */
  readonly send?: string;
}

export interface LoadResult {
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

export interface Running {
  readonly process: ChildProcess;
  readonly port: number;
  stop(): Promise<void>;
}

/** Where the C suite is installed; undefined where there is none to compare with. */
export function peerSuite(): string | undefined {
  const folder = process.env["S6_NETWORKING_BIN"];
  return folder === undefined || folder === "" ? undefined : folder;
}

export function hasCommand(name: string): boolean {
  return spawnSync("which", [name]).status === 0;
}

export async function startSubject({ words, path }: Subject): Promise<Running> {
  const needsPort = words.includes("PORT");
  const chosen = needsPort ? await freePort() : 0;
  const [command = "", ...rest] = words.map((word) => (word === "PORT" ? String(chosen) : word));
  const search = [path, process.env["PATH"]].filter((part) => part !== undefined).join(":");
  const file = path === undefined ? command : join(path, command);
  const child = spawn(file, rest, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, PATH: search },
  });
  const port = Number(await firstLine(child));
  return { process: child, port, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error("no output to read");
  let text = "";
  return new Promise((resolve, reject) => {
    stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    stdout.on("end", () => reject(new Error("the process said nothing")));
  });
}

export async function runLoad(
  { load }: Bench,
  port: number,
  connections: number,
  concurrency: number,
  send?: string,
): Promise<LoadResult> {
  const sent = send === undefined ? [] : ["send", send];
  const words = [...[load, port, connections, concurrency].map(String), ...sent];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit"); // before it can have happened
  const line = await firstLine(child);
  await exited;
  return JSON.parse(line) as LoadResult;
}

export interface Load {
  readonly connections: number;
  readonly concurrency: number;
  readonly rounds: number;
}

/** Load each subject in turn, `rounds` times over; the medians by name. */
export async function compare(
  bench: Bench,
  subjects: readonly Subject[],
  { connections, concurrency, rounds }: Load,
): Promise<ReadonlyMap<string, LoadResult>> {
  const results = new Map<string, LoadResult[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) {
      const server = await startSubject(subject);
      const { send } = subject;
      await runLoad(bench, server.port, Math.ceil(connections / 10), concurrency, send);
      const run = await runLoad(bench, server.port, connections, concurrency, send);
      results.get(subject.name)?.push(run);
      await server.stop();
    }
  }
  return new Map(Array.from(results, ([name, runs]) => [name, medianOf(runs)]));
}

function medianOf(runs: readonly LoadResult[]): LoadResult {
  return {
    rate: median(runs.map(({ rate }) => rate)),
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
    failed: Math.max(...runs.map(({ failed }) => failed)),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** A row of two rates, where more is better. */
export function rateRow(
  what: string,
  ours: LoadResult | undefined,
  peer: LoadResult | undefined,
  goal: string,
): Row {
  if (ours === undefined || peer === undefined) {
    return { what, ours: formatLoad(ours), peer: "absent", ratio: "-", goal };
  }
  const ratio = (ours.rate / peer.rate).toFixed(2);
  return { what, ours: formatLoad(ours), peer: formatLoad(peer), ratio, goal };
}

/** A row of two 99th percentiles, where less is better. */
export function tailRow(
  what: string,
  ours: LoadResult | undefined,
  peer: LoadResult | undefined,
  goal: string,
): Row {
  if (ours === undefined || peer === undefined) {
    return { what, ours: "-", peer: "absent", ratio: "-", goal };
  }
  const ratio = (ours.p99Ms / peer.p99Ms).toFixed(2);
  return {
    what,
    ours: `${ours.p99Ms.toFixed(1)} ms`,
    peer: `${peer.p99Ms.toFixed(1)} ms`,
    ratio,
    goal,
  };
}

function formatLoad(result: LoadResult | undefined): string {
  if (result === undefined) return "absent";
  const failures = result.failed === 0 ? "" : `, ${result.failed} failed`;
  return `${Math.round(result.rate)}/s${failures}`;
}
