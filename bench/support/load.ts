/**
 * The load: a process of its own that makes connections to a TCP port or to the path of a Unix-domain socket of
 * this machine, so many at a time, reads each to its end and prints what it saw as one line of JSON.
 *
 *     node load.mjs PORT|PATH CONNECTIONS CONCURRENCY [hold | send TEXT]
 *
 * With `hold` the connections are opened and kept until standard input ends; with `send` each client
 * writes the text and ends its side first.
 */

import { parseIp4 } from "../../src/net/index.ts";
import { loadPosix, SystemError } from "../../src/posix/index.ts";
import type { Fd, SocketAddress } from "../../src/posix/index.ts";

const [target = ""] = process.argv.slice(2);
const [total = 0, concurrency = 1] = process.argv.slice(3, 5).map(Number);
const holds = process.argv[5] === "hold";
const sent = process.argv[5] === "send" ? Buffer.from(process.argv[6] ?? "") : undefined;
const posix = loadPosix();
const server = addressOf(target);
const buffer = Buffer.alloc(65_536);
const latenciesMs = new Float64Array(total);
const held: Fd[] = [];
let started = 0;
let finished = 0;
let failed = 0;
const beganMs = performance.now();

function addressOf(portOrPath: string): SocketAddress {
  if (portOrPath.includes("/")) return { family: "unix", path: portOrPath };
  const bytes = parseIp4("127.0.0.1")?.bytes ?? new Uint8Array(4);
  return { family: "inet", bytes, port: Number(portOrPath), scope: 0 };
}

function next(): void {
  if (started >= total) return;
  const index = started++;
  const sinceMs = performance.now();
  const fd = posix.socket(server.family, "stream");
  posix.connect(fd, server);
  if (sent !== undefined) {
    posix.waitReady(fd, { writable: true }, -1); // at once, on this machine
    posix.write(fd, sent);
    posix.shutdown(fd, "write");
  }
  const watch = posix.watch(fd, holds ? { writable: true } : { readable: true }, () => {
    if (holds) held.push(fd);
    else if (!isAtEnd(fd)) return;
    watch.close();
    if (!holds) posix.close(fd);
    finish(index, sinceMs);
  });
}

function isAtEnd(fd: Fd): boolean {
  try {
    return posix.read(fd, buffer) === 0;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    failed += 1;
    return true;
  }
}

function finish(index: number, sinceMs: number): void {
  latenciesMs[index] = performance.now() - sinceMs;
  finished += 1;
  if (finished === total) report();
  else next();
}

function report(): void {
  const seconds = (performance.now() - beganMs) / 1000;
  latenciesMs.sort();
  const at = (part: number): number => latenciesMs[Math.floor((total - 1) * part)] ?? 0;
  const result = { rate: total / seconds, p50Ms: at(0.5), p99Ms: at(0.99), failed };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (holds) process.stdin.resume().on("end", () => process.exit(0));
  else process.exit(0);
}

for (let client = 0; client < concurrency; client += 1) next();
