/**
 * Random and mutated time packets, judged by the clients and answered by the server: `npm run fuzz`. RUNS
 * says how many, ten million unless given. No verdict throws, no packet is written past its end, and
 * memory does not grow.
 */

import { expect, test } from "vitest";
import { taiFromUnix } from "../../src/clock/index.ts";
import {
  answerTaiclock,
  formatTaiclockRequest,
  judgeSntpReply,
  judgeTaiclockReply,
} from "../../src/clock/sync/index.ts";
import { NONCE, sntpAnswer } from "../clock/sync/packets.ts";

const RUNS = Number(process.env["RUNS"] ?? 10_000_000);
const SEED = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

/** Each packet lies between guards in a buffer that is used again and again. */
const GUARD_BYTES = 16;
const PACKET_BYTES_MAX = 300;
const GUARD = 0xa5;
const NOW = taiFromUnix(1_700_000_000_123_456_789n);

let state = SEED;

function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const arena = Buffer.alloc(GUARD_BYTES + PACKET_BYTES_MAX + GUARD_BYTES, GUARD);
const answered = Buffer.from(formatTaiclockRequest(NONCE));
answerTaiclock(answered, NOW);
const SAMPLES = [sntpAnswer(), Buffer.from(formatTaiclockRequest(NONCE)), answered];

/** A packet of random bytes, or a valid one with some bytes changed, of any length. */
function nextPacket(): Buffer {
  const length = random(8) === 0 ? random(PACKET_BYTES_MAX + 1) : random(60);
  arena.fill(GUARD);
  const packet = arena.subarray(GUARD_BYTES, GUARD_BYTES + length);
  const sample = SAMPLES[random(SAMPLES.length + 1)];
  if (sample === undefined) for (let at = 0; at < length; at += 1) packet[at] = random(256);
  else sample.copy(packet);
  for (let changes = random(4); changes > 0 && length > 0; changes -= 1) {
    packet[random(length)] = random(256);
  }
  return packet;
}

function isGuarded(packet: Buffer): boolean {
  const before = arena.subarray(0, GUARD_BYTES);
  const after = arena.subarray(GUARD_BYTES + packet.length);
  return before.every((byte) => byte === GUARD) && after.every((byte) => byte === GUARD);
}

test(
  `packets of time servers are judged, whatever their bytes (seed ${SEED})`,
  { timeout: 0 },
  () => {
    const kinds = new Map<string, number>();
    const heapsMiB: number[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const packet = nextPacket();
      const verdicts = [
        `sntp ${judgeSntpReply(packet, NONCE).kind}`,
        `taiclock ${judgeTaiclockReply(packet, NONCE).kind}`,
        `request ${answerTaiclock(packet, NOW) ? "answered" : "ignored"}`,
      ];
      for (const kind of verdicts) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (!isGuarded(packet)) expect.unreachable(`wrote past a packet: ${packet.toString("hex")}`);
      if (run % Math.ceil(RUNS / 10) === 0) {
        heapsMiB.push(Math.round(process.memoryUsage().rss / (1 << 20)));
      }
    }
    console.log(JSON.stringify({ kinds: Object.fromEntries(kinds), heapsMiB }));
    expect([...kinds.keys()].length).toBeGreaterThanOrEqual(9);
    expect(heapsMiB.at(-1)).toBeLessThanOrEqual((heapsMiB[1] ?? 0) + 64);
  },
);
