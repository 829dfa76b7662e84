/**
 * Very many PROXY headers, random and damaged, through the parser: `npm run fuzz`. RUNS says how many, ten
 * million unless given. Too many for fast-check: the generator is a seeded one of our own, and the seed is
 * printed.
 */

import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "../../src/clock/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import {
  formatProxy,
  parseExtensions,
  parseProxy,
  readProxyHeader,
} from "../../src/proxy/index.ts";
import type { Progress } from "../../src/proxy/index.ts";
import { ADDRESSES4, facts, ssl, tlv, v2, withTlvs } from "../proxy/samples.ts";
import { generator, heapMiB, RUNS, SEED } from "../support/long-run.ts";
import type { Chance } from "../support/long-run.ts";

/** Whole headers, of which the others are made. */
const SEEDS: readonly Buffer[] = [
  Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n"),
  Buffer.from("PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 49152 80\r\n"),
  Buffer.from("PROXY UNKNOWN anything\r\n"),
  v2(0x21, 0x11, ADDRESSES4),
  v2(0x21, 0x21, Buffer.alloc(36, 7)),
  v2(0x21, 0x31, Buffer.alloc(216, "/run/path\0")),
  v2(0x20, 0x00, Buffer.alloc(0)),
  withTlvs(tlv(1, "h2"), tlv(2, "www.example.com"), tlv(0xea, "\x01vpce-1")),
  withTlvs(tlv(5, "id"), ssl(7, 0, tlv(0x21, "TLSv1.3"), tlv(0x22, "joe"), tlv(0x23, "AES"))),
];

/** Room for an input with something behind it. */
const room = Buffer.alloc(1024);
const elsewhere = Buffer.alloc(1024);

/** Write a random or damaged header to the start of the room, and random bytes behind it. */
function fill(random: Chance): number {
  const seed = SEEDS[random(SEEDS.length)] ?? room;
  let length = Math.min(seed.copy(room), room.length);
  if (random(8) === 0) length = random(300);
  if (random(8) === 0) for (let at = 0; at < length; at += 1) room[at] = random(256);
  for (let changes = random(4); changes > 0; changes -= 1) room[random(length + 1)] = random(256);
  if (random(4) === 0) length = random(length + 1);
  for (let at = length; at < length + 16; at += 1) room[at] = random(256);
  return length;
}

/** All that a header can be asked for. */
function use(progress: Progress): void {
  if (progress.kind !== "done" || !("tlvs" in progress.header)) return;
  parseExtensions(progress.header.tlvs);
}

test(`any bytes are parsed, never beyond their end (seed ${SEED})`, { timeout: 0 }, () => {
  const random = generator(SEED);
  const counts = { more: 0, done: 0, invalid: 0 };
  let early = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const length = fill(random);
    const progress = parseProxy(room.subarray(0, length));
    counts[progress.kind] += 1;
    use(progress);
    if (progress.kind === "done" && progress.bytesUsed > length) throw new Error(`run ${run}`);
    if (progress.kind === "more" && progress.bytesWanted < 1) throw new Error(`run ${run}`);
    if (run % 100 === 0) expectIndependence(progress, length, run);
    if (run === Math.floor(RUNS / 10)) early = heapMiB();
  }
  console.log(`seed ${SEED}: ${JSON.stringify(counts)}, heap ${early} then ${heapMiB()} MiB`);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
  expect(heapMiB()).toBeLessThan(early + 4);
});

/** The same bytes with others behind them give the same; what was parsed is formatted and comes back. */
function expectIndependence(progress: Progress, length: number, run: number): void {
  elsewhere.fill(run & 0xff);
  room.copy(elsewhere, 0, 0, length);
  const again = parseProxy(elsewhere.subarray(0, length));
  expect(again.kind, `run ${run}`).toBe(progress.kind);
  if (progress.kind !== "done" || again.kind !== "done") return;
  expect(facts(again.header)).toEqual(facts(progress.header));
  const followed = parseProxy(elsewhere);
  expect(followed.kind === "done" && followed.bytesUsed).toBe(progress.bytesUsed);
  const back = parseProxy(formatProxy(progress.header, { version: 2 }));
  expect(back.kind).toBe("done");
}

test(
  `a header of any bytes in any pieces is read off a socket (seed ${SEED})`,
  { timeout: 0 },
  async () => {
    const posix = loadPosix();
    const random = generator(SEED);
    const options = { clock: systemClock, timeoutMs: 10_000, only: undefined };
    for (let run = 0; run < RUNS / 200; run += 1) {
      const length = fill(random);
      const input = Buffer.from(room.subarray(0, length));
      const [far, near] = posix.socketPair("stream");
      const arriving = readProxyHeader(posix, near, options);
      for (let at = 0; at < length;) {
        const size = 1 + random(120);
        posix.write(far, input.subarray(at, at + size));
        at += size;
        if (random(3) === 0) await turn();
      }
      posix.shutdown(far, "write");
      const arrived = await arriving;
      const expected = parseProxy(input);
      const rest = posix.peek(near, elsewhere);
      if (expected.kind === "done") {
        expect(arrived.kind, `run ${run}`).toBe("header");
        expect(rest, `run ${run}`).toBe(length - expected.bytesUsed);
      } else {
        expect(arrived.kind, `run ${run}`).toBe(expected.kind === "more" ? "failed" : "invalid");
      }
      posix.close(far);
      posix.close(near);
    }
  },
);
