/** Starting servers, loading them, and comparing the medians of runs that alternate. */

import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

/** The arguments of a bench. */
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
  /** The words; PORT in one is a free port, where the server cannot choose one itself. */
  readonly words: readonly string[];
  /** The folder whose commands come first. */
  readonly path?: string | undefined;
  /** The bytes that each client sends before it ends its side; by default clients only read. */
  readonly send?: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** It does not say when it listens (to "PORT"). */
  readonly isSilent?: boolean;
  /** The path of the Unix-domain socket on which it listens, once it has written a line. */
  readonly socket?: string;
}

export interface LoadResult {
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** The negotiated cipher, where there is a choice. */
  readonly cipher?: string;
}

export interface Running {
  readonly process: ChildProcess;
  /** NaN for one that listens on a Unix-domain socket. */
  readonly port: number;
  /** The port or the path to which clients connect. */
  readonly target: number | string;
  stop(): Promise<void>;
}

/** The directory in which the C suite is installed; undefined where there is none. */
export function peerSuite(): string | undefined {
  const folder = process.env["S6_NETWORKING_BIN"];
  return folder === undefined || folder === "" ? undefined : folder;
}

export function hasCommand(name: string): boolean {
  return spawnSync("which", [name]).status === 0;
}

const PORT = /\bPORT\b/;

export async function startSubject(subject: Subject): Promise<Running> {
  const { words, path, variables, socket, isSilent = false } = subject;
  const chosen = words.some((word) => PORT.test(word)) ? await freePort() : 0;
  const [command = "", ...rest] = words.map((word) => word.replace(PORT, String(chosen)));
  const search = [path, process.env["PATH"]].filter((part) => part !== undefined).join(":");
  const file = path === undefined ? command : join(path, command);
  const child = spawn(file, rest, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...variables, PATH: search },
  });
  if (isSilent) await untilListening(child, chosen);
  const line = isSilent ? String(chosen) : await nextLine(child);
  const port = socket === undefined ? Number(line) : NaN;
  return { process: child, port, target: socket ?? port, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (isOver(child)) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
  child.stdout?.destroy(); // which programs that it has left behind may have
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  while (!(await canConnect(port))) {
    if (isOver(child)) throw new Error(`${child.spawnfile} has ended before it listened`);
    await setTimeout(20);
  }
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The next line that a process writes. Rejects when it ends instead. */
export async function nextLine({ stdout, spawnfile }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error("no output to read");
  let text = "";
  return new Promise((resolve, reject) => {
    function take(chunk: Buffer): void {
      text += chunk.toString();
      if (!text.includes("\n")) return;
      stdout?.off("data", take).off("close", fail);
      resolve(text.slice(0, text.indexOf("\n")));
    }
    function fail(): void {
      reject(new Error(`${spawnfile} has ended without a word`));
    }
    stdout.on("data", take).on("close", fail);
    if (stdout.destroyed) fail();
  });
}

export async function runLoad(
  { load }: Bench,
  target: number | string,
  connections: number,
  concurrency: number,
  send?: string,
): Promise<LoadResult> {
  const sent = send === undefined ? [] : ["send", send];
  const words = [process.execPath, load, target, connections, concurrency, ...sent];
  return resultOf(words.map(String));
}

/** Run a generator of load, which prints what it saw. */
export async function resultOf([command = "", ...words]: readonly string[]): Promise<LoadResult> {
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit"); // before it can have happened
  const line = await nextLine(child);
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
  const trials = subjects.map((subject) => {
    const run = ({ target }: Running, count: number): Promise<LoadResult> =>
      runLoad(bench, target, count, concurrency, subject.send);
    return {
      ...subject,
      warmUp: (server: Running) => run(server, Math.ceil(connections / 10)),
      measure: (server: Running) => run(server, connections),
    };
  });
  return alternate(trials, rounds);
}

/** A server, and what is done to it to measure it. */
export interface Trial extends Subject {
  /** Once, before it is measured: a server that has just started is another one. */
  warmUp(server: Running): Promise<unknown>;
  measure(server: Running): Promise<LoadResult>;
}

/** Start all, and measure each in turn, `rounds` times over; the medians by name. */
export async function alternate(
  trials: readonly Trial[],
  rounds: number,
): Promise<ReadonlyMap<string, LoadResult>> {
  const running: {
    readonly trial: Trial;
    readonly server: Running;
    readonly runs: LoadResult[];
  }[] = [];
  for (const trial of trials) {
    const server = await startSubject(trial);
    await trial.warmUp(server);
    running.push({ trial, server, runs: [] });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { trial, server, runs } of running) runs.push(await trial.measure(server));
  }
  for (const { server } of running) await server.stop();
  return new Map(running.map(({ trial, runs }) => [trial.name, medianOf(runs)]));
}

function medianOf(runs: readonly LoadResult[]): LoadResult {
  return {
    rate: median(runs.map(({ rate }) => rate)),
    p50Ms: median(runs.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
    failed: Math.max(...runs.map(({ failed }) => failed)),
    ...(runs[0]?.cipher === undefined ? {} : { cipher: runs[0].cipher }),
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
  const [oursText, peerText] = [formatLoad(ours), formatLoad(peer)];
  return { what, ours: oursText, peer: peerText, ratio: ratioOf(ours?.rate, peer?.rate), goal };
}

/** A row of two 99th percentiles, where less is better. */
export function tailRow(
  what: string,
  ours: LoadResult | undefined,
  peer: LoadResult | undefined,
  goal: string,
): Row {
  const [oursText, peerText] = [formatTail(ours), formatTail(peer)];
  return { what, ours: oursText, peer: peerText, ratio: ratioOf(ours?.p99Ms, peer?.p99Ms), goal };
}

export function ratioOf(ours: number | undefined, peer: number | undefined): string {
  return ours === undefined || peer === undefined ? "-" : (ours / peer).toFixed(2);
}

function formatLoad(result: LoadResult | undefined): string {
  return result === undefined ? "absent" : `${Math.round(result.rate)}/s${formatFailures(result)}`;
}

function formatTail(result: LoadResult | undefined): string {
  return result === undefined ? "absent" : `${result.p99Ms.toFixed(1)} ms${formatFailures(result)}`;
}

export function formatFailures({ failed }: LoadResult): string {
  return failed === 0 ? "" : `, ${failed} failed`;
}
