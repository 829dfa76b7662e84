/** What does a birth cost, and how near is a server with a program for each connection to the least? */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinBlock, loadPosix } from "../src/posix/index.ts";
import type { Child, Fd, SpawnRequest } from "../src/posix/index.ts";
import { compare, median, rateRow, ratioOf } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Births";

const BIRTHS = 2000;
const ROUNDS = 7;
const IN_FLIGHT = 8;
const FEW_DESCRIPTORS = 10;
/** Or as many as the hard limit has room for. */
const MANY_DESCRIPTORS = 25_000;
const SPARE_DESCRIPTORS = 500;
const UNPRIVILEGED = { uid: 65_534, gid: 65_534, groups: [] };

const LOAD = { connections: 6000, concurrency: 20, rounds: 7 };
const LIMITS = ["-1", "-c", "200", "-C", "200", "127.0.0.1", "0"];

export async function measure(bench: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  chmodSync(folder, 0o755); // the program is for other users too
  try {
    const program = compile(join(folder, "true"), "int main(void) { return 0; }\n");
    return [...measureBirths(program), ...(await measureServers(bench, program, folder))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A statically linked program. */
function compile(file: string, text: string): string {
  writeFileSync(`${file}.c`, text);
  run("cc", ["-O2", "-static", "-o", file, `${file}.c`]);
  return file;
}

function run(command: string, words: readonly string[], input = ""): void {
  const { status, stderr } = spawnSync(command, words, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}

// --- births in this process ----------------------------------------------------------------------

function measureBirths(program: string): Row[] {
  const plain: SpawnRequest = {
    files: joinBlock([program]),
    argv: joinBlock([program]),
    environment: joinBlock(["PATH=/usr/bin:/bin"]),
    descriptors: [],
  };
  const identity = loadPosix().geteuid() === 0 ? { identity: UNPRIVILEGED } : {};
  const full: SpawnRequest = { ...plain, ...identity, directory: "/tmp", umask: 0o27 };
  const [plainMs, fullMs] = alternate([plain, full]);
  const many = Math.min(MANY_DESCRIPTORS, loadPosix().getrlimit("nofile").hard - SPARE_DESCRIPTORS);
  const given = loadPosix().open("/dev/null", "readwrite");
  const connected = { ...plain, descriptors: [0, given, 1, given] };
  const [fewMs, manyMs] = alternateDescriptors(connected, many);
  loadPosix().close(given);
  return [
    birthRow("identity, directory and umask, against none", fullMs, plainMs, "at least 0.95"),
    birthRow(`${many} open descriptors, against ${FEW_DESCRIPTORS}`, manyMs, fewMs, "at least 0.9"),
  ];
}

/** Rates, so that the ratio is one of rates too. */
function birthRow(what: string, ours = NaN, peer = NaN, goal: string): Row {
  const [rate, peerRate] = [(1000 * BIRTHS) / ours, (1000 * BIRTHS) / peer];
  return {
    what,
    ours: `${Math.round(rate)}/s`,
    peer: `${Math.round(peerRate)}/s`,
    ratio: ratioOf(rate, peerRate),
    goal,
  };
}

/** The time that BIRTHS of each take: medians of rounds in which they take turns. */
function alternate(requests: readonly SpawnRequest[]): number[] {
  const times: number[][] = requests.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    requests.forEach((request, index) => times[index]?.push(timeOf(request)));
  }
  return times.map(median);
}

function alternateDescriptors(request: SpawnRequest, most: number): [number, number] {
  const [few, many]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    few.push(withOpen(FEW_DESCRIPTORS, () => timeOf(request)));
    many.push(withOpen(most, () => timeOf(request)));
  }
  return [median(few), median(many)];
}

function withOpen(count: number, measureNow: () => number): number {
  const posix = loadPosix();
  const opened: Fd[] = [posix.open("/dev/null", "read")];
  for (const [first] = opened; opened.length < count && first !== undefined;) {
    opened.push(posix.dup(first));
  }
  try {
    return measureNow();
  } finally {
    for (const fd of opened) posix.close(fd);
  }
}

function timeOf(request: SpawnRequest): number {
  const inFlight: Child[] = [];
  const beganMs = performance.now();
  for (let born = 0; born < BIRTHS; born += 1) {
    inFlight.push(loadPosix().spawn(request));
    if (inFlight.length === IN_FLIGHT) waitFor(inFlight.shift());
  }
  for (const child of inFlight) waitFor(child);
  return performance.now() - beganMs;
}

/** Wait for the end of a child, and reap it. */
function waitFor(child: Child | undefined): void {
  if (child === undefined) return;
  const posix = loadPosix();
  posix.waitReady(child.pidfd, { readable: true }, -1);
  posix.reap(child.pid);
  posix.close(child.pidfd);
  const failure = posix.birthFailure(child.birth);
  if (failure !== undefined) throw failure;
}

// --- servers -------------------------------------------------------------------------------------

async function measureServers(bench: Bench, program: string, folder: string): Promise<Row[]> {
  const { root } = bench;
  const rules = join(folder, "rules");
  run(join(root, "bin", "s6-tcprules"), [rules], "127.:allow\n10.0.0.:allow\n:deny\n");
  const least = join(folder, "vfork-server");
  run("cc", ["-O2", "-o", least, join(root, "bench", "support", "vfork-server.c")]);
  const access = ["s6-tcpserver-access", "-v0", "-H", "-x", rules, program];
  const path = join(root, "bin");
  const results = await compare(
    bench,
    [
      { name: "least", words: [least, program] },
      { name: "access", words: ["s6-tcpserver", "-q", ...LIMITS, ...access], path },
      { name: "quiet", words: ["s6-tcpserver", "-q", ...LIMITS, program], path },
      { name: "verbose", words: ["s6-tcpserver", "-v", ...LIMITS, program], path },
    ],
    LOAD,
  );
  const [quiet, verbose] = [results.get("quiet"), results.get("verbose")];
  return [
    rateRow(
      "connections with access rules, against accept, vfork and exec in C",
      results.get("access"),
      results.get("least"),
      "at least 0.95",
    ),
    rateRow("a log of every connection (-v), against none", verbose, quiet, "at least 0.9"),
  ];
}
