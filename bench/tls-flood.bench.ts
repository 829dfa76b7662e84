/**
 * The latency of an established TLS connection while strangers begin handshakes and never go on, and do the
 * handshakes of others get through? Compared with the same connection before the flood.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { nextLine, startSubject } from "./support/servers.ts";
import type { Bench, Row, Running } from "./support/servers.ts";
import { Kit } from "./support/tls.ts";
import type { KeyType } from "./support/tls.ts";

export const question = "TLS under a flood of ClientHellos";

const PER_SECOND = 250;
const MEASURED_MS = 5000;
/** The flood begins earlier, and goes on for longer. */
const FLOOD_MS = MEASURED_MS + 2000;
const WARM_UP_MS = 1000;
/** Between two echoes, and between two handshakes of an honest client. */
const ECHO_PAUSE_MS = 2;
const VISIT_PAUSE_MS = 100;
const HONEST = "127.0.2.1";
/** The flood is another machine's work, so that it takes no time from the server. */
const FLOOD_PRIORITY = 19;

interface Flood {
  readonly what: string;
  readonly sources: number;
  /** The time between two bursts. */
  readonly everyMs: number;
}

const FLOODS: readonly Flood[] = [
  { what: "from one source", sources: 1, everyMs: 4 },
  { what: "from 200 sources", sources: 200, everyMs: 4 },
  { what: "from one source, all at once each second", sources: 1, everyMs: 1000 },
  { what: "from 200 sources, all at once each second", sources: 200, everyMs: 1000 },
];

export async function measure(bench: Bench): Promise<Row[]> {
  const keys: readonly (readonly [KeyType, string])[] = [
    ["p256", "P-256"],
    ["rsa2048", "RSA-2048"],
  ];
  const rows: Row[] = [];
  for (const [key, name] of keys) {
    const these = await Kit.with(bench, (kit) => floodRows(kit, bench), key);
    rows.push(...these.map((row) => ({ ...row, what: `${name}: ${row.what}` })));
  }
  return rows;
}

async function floodRows(kit: Kit, bench: Bench): Promise<Row[]> {
  const server = await startSubject(kit.ours("echo", 4000));
  const established = await visit(server, "127.0.0.1");
  await echoes(established, WARM_UP_MS);
  const rows: Row[] = [];
  for (const flood of FLOODS) {
    const alone = await echoes(established, MEASURED_MS);
    rows.push(...(await under(flood, { server, established, alone, bench })));
  }
  established.destroy();
  await server.stop();
  return rows;
}

interface Situation {
  readonly server: Running;
  readonly established: TLSSocket;
  readonly alone: readonly number[];
  readonly bench: Bench;
}

async function under(
  flood: Flood,
  { server, established, alone, bench }: Situation,
): Promise<Row[]> {
  const script = join(bench.root, "bench", "support", "hello-flood.mjs");
  const words = [server.port, PER_SECOND, flood.sources, FLOOD_MS, flood.everyMs].map(String);
  const child = spawn(process.execPath, [script, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  if (child.pid !== undefined) setPriority(child.pid, FLOOD_PRIORITY);
  await nextLine(child);
  const honest = visits(server, MEASURED_MS);
  const flooded = await echoes(established, MEASURED_MS);
  const { done, failed } = await honest;
  await exited;
  const what = `${PER_SECOND} ClientHellos a second ${flood.what}`;
  return [
    latencyRow(`${what}: p50 of an echo, against no flood`, 0.5, flooded, alone, "-"),
    latencyRow(`${what}: p99 of an echo, against no flood`, 0.99, flooded, alone, "at most 5 ms"),
    latencyRow(`${what}: longest echo, against no flood`, 1, flooded, alone, "-"),
    {
      what: `${what}: handshakes of another source`,
      ours: `${done} done, ${failed} failed`,
      peer: "-",
      ratio: "-",
      goal: "0 failed",
    },
  ];
}

/** Sorted latencies. */
async function echoes(socket: TLSSocket, durationMs: number): Promise<number[]> {
  const latencies: number[] = [];
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    socket.write("x");
    await once(socket, "data");
    latencies.push(performance.now() - startMs);
    await setTimeout(ECHO_PAUSE_MS);
  }
  return latencies.toSorted((a, b) => a - b);
}

/** The handshakes of a source that does not take part in the flood. */
async function visits(
  server: Running,
  durationMs: number,
): Promise<{ readonly done: number; readonly failed: number }> {
  let [done, failed] = [0, 0];
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs) {
    try {
      const socket = await visit(server, HONEST);
      socket.write("x");
      await once(socket, "data");
      socket.destroy();
      done += 1;
    } catch {
      failed += 1;
    }
    await setTimeout(VISIT_PAUSE_MS);
  }
  return { done, failed };
}

async function visit({ port }: Running, localAddress: string): Promise<TLSSocket> {
  const options = { port, host: "127.0.0.1", localAddress, rejectUnauthorized: false };
  const socket = connect(options);
  socket.setNoDelay(true);
  await once(socket, "secureConnect");
  return socket;
}

function latencyRow(
  what: string,
  quantile: number,
  flooded: readonly number[],
  alone: readonly number[],
  goal: string,
): Row {
  const [ours, before] = [quantileOf(flooded, quantile), quantileOf(alone, quantile)];
  const [oursText, peer] = [ours, before].map((ms) => `${ms.toFixed(2)} ms`);
  return { what, ours: oursText ?? "", peer: peer ?? "", ratio: (ours / before).toFixed(2), goal };
}

function quantileOf(sorted: readonly number[], quantile: number): number {
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * quantile));
  return sorted[index] ?? NaN;
}
