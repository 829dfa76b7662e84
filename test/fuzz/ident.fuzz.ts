/**
 * Very many IDENT replies and queries, random and damaged, through the parsers, the client and the server:
 * `npm run fuzz`. RUNS says how many of each, ten million unless given; the seed is printed.
 */

import { once } from "node:events";
import { createServer } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../src/clock/index.ts";
import {
  askIdent,
  formatIdentAnswer,
  IDENT_QUERIES_MAX,
  IDENT_QUERY_BYTES_MAX,
  IDENT_USER_BYTES_MAX,
  IdentResponder,
  readIdentQuery,
  readIdentReply,
  serveIdent,
} from "../../src/ident/index.ts";
import { parseIp } from "../../src/net/index.ts";
import type { IpAddress } from "../../src/net/index.ts";
import { encodeBytes, loadPosix } from "../../src/posix/index.ts";
import { generator, heapMiB, RUNS, SEED } from "../support/long-run.ts";
import type { Chance } from "../support/long-run.ts";

const PORTS = { remote: 6193, local: 23 };
const LOCALHOST = addressOf("127.0.0.1");

const REPLIES = [
  "6193 , 23 : USERID : UNIX : stjohns\r\n",
  "6193,23:USERID:OTHER, UTF-8: a name with: much in it \n",
  `6193,23:USERID:UNIX:${"x".repeat(IDENT_USER_BYTES_MAX)}\r\n`,
  "6193 , 23 : ERROR : HIDDEN-USER\r\n",
  "06193,023:error:X-HALT\r\n",
  "0 , 0 : ERROR : INVALID-PORT\r\n",
].map((text) => Buffer.from(text));

const QUERIES = [
  "6193 , 23\r\n",
  "6193,23\n",
  "\t06193\t,\t023\t\r\n1 , 2\r\n",
  "0 , 65536\r\n",
  "9999999999,9999999999\n",
  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  `${" ".repeat(IDENT_QUERY_BYTES_MAX - 5)}1,2\r\n`,
].map((text) => Buffer.from(text));

/** Room for an input with something behind it. */
const ROOM_BYTES = 2048;
const room = Buffer.alloc(ROOM_BYTES);
const elsewhere = Buffer.alloc(ROOM_BYTES);

/** The bytes that make and break lines of this protocol. */
const MARKS = Buffer.from("0123456789 \t,::\r\n\0-XUSERIDO\xff", "latin1");

/** Write a sample, damaged or not, or random bytes to the start of the room, and others behind it. */
function fill(samples: readonly Buffer[], random: Chance): number {
  const sample = samples[random(samples.length)] ?? room;
  let length = sample.copy(room);
  if (random(16) === 0) {
    length = random(random(8) === 0 ? 1200 : 40);
    for (let at = 0; at < length; at += 1) room[at] = MARKS[random(MARKS.length)] ?? 0;
  }
  for (let changes = random(4); changes > 0; changes -= 1) {
    const at = random(length + 1);
    room[at] = random(2) === 0 ? random(256) : (MARKS[random(MARKS.length)] ?? 0);
  }
  if (random(8) === 0) length = random(length + 1);
  for (let at = length; at < length + 16; at += 1) room[at] = random(256);
  return length;
}

/** The same bytes in another place, with others behind them. */
function moved(length: number, run: number): Buffer {
  elsewhere.fill(run & 0xff);
  room.copy(elsewhere, 0, 0, length);
  return elsewhere.subarray(0, length);
}

/** Call `body` for each run and count what it says; the heap must not grow meanwhile. */
function repeat(body: (run: number) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  let early = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const kind = body(run);
    counts[kind] = (counts[kind] ?? 0) + 1;
    if (run === Math.floor(RUNS / 10)) early = heapMiB();
  }
  const late = heapMiB();
  console.log(`seed ${SEED}: ${JSON.stringify(counts)}, heap ${early} then ${late} MiB`);
  expect(late).toBeLessThan(early + 4);
  return counts;
}

test(`any bytes are judged as a reply (seed ${SEED})`, { timeout: 0 }, () => {
  const random = generator(SEED);
  const counts = repeat((run) => {
    const length = fill(REPLIES, random);
    const hasEnded = random(2) === 0;
    const reply = readIdentReply(room.subarray(0, length), PORTS, hasEnded);
    if (reply.kind === "user") {
      const user = encodeBytes(reply.user);
      const isFine = user.length <= IDENT_USER_BYTES_MAX && user.every(isPrintable);
      if (!isFine) throw new Error(`run ${run}: ${JSON.stringify(reply.user)}`);
    }
    if (run % 100 === 0) {
      expect(readIdentReply(moved(length, run), PORTS, hasEnded), `run ${run}`).toEqual(reply);
    }
    return reply.kind;
  });
  expect(Object.keys(counts).sort()).toEqual(["breach", "error", "more", "user"]);
});

test(`any bytes are judged as a query, and answered (seed ${SEED})`, { timeout: 0 }, () => {
  const random = generator(SEED);
  const counts = repeat((run) => {
    const length = fill(QUERIES, random);
    const progress = readIdentQuery(room.subarray(0, length));
    if (run % 100 === 0) {
      expect(readIdentQuery(moved(length, run)), `run ${run}`).toEqual(progress);
    }
    if (progress.kind !== "query") return progress.kind;
    const { query, bytesUsed } = progress;
    if (bytesUsed > length || bytesUsed > IDENT_QUERY_BYTES_MAX) throw new Error(`run ${run}`);
    const token = query.kind === "ports" ? "NO-USER" : "INVALID-PORT";
    const answer = formatIdentAnswer(query.ports, { kind: "error", token });
    if (readIdentReply(answer, query.ports).kind !== "error") throw new Error(`run ${run}`);
    return query.kind;
  });
  expect(Object.keys(counts).sort()).toEqual(["invalid", "more", "ports", "tooLong"]);
});

test(`any bytes in any pieces are served (seed ${SEED})`, { timeout: 0 }, async () => {
  const posix = loadPosix();
  const random = generator(SEED);
  const naming = { kind: "fixed", user: "someone" } as const;
  const responder = new IdentResponder(posix, systemClock, { naming });
  const asking = { local: LOCALHOST, remote: LOCALHOST };
  for (let run = 0; run < RUNS / 200; run += 1) {
    const input = Buffer.from(room.subarray(0, fill(QUERIES, random)));
    const [far, near] = posix.socketPair("stream");
    const facts = { input: near, output: near, asking, idleMs: 60_000 };
    const serving = serveIdent(posix, systemClock, responder, facts);
    for (let at = 0; at < input.length;) {
      const size = 1 + random(400);
      posix.write(far, input.subarray(at, at + size));
      at += size;
      if (random(3) === 0) await turn();
    }
    posix.shutdown(far, "write");
    expect(await serving, `run ${run}`).toEqual({ kind: "ended" });
    posix.close(near);
    const count = posix.read(far, elsewhere) ?? 0;
    posix.close(far);
    expect(elsewhere.toString("latin1", 0, count), `run ${run}`).toBe(answersTo(input));
  }
});

/** The answers of the server to all that a client sends, by the reader of queries. */
function answersTo(input: Uint8Array): string {
  let text = "";
  let rest = input;
  for (let answered = 0; answered < IDENT_QUERIES_MAX; answered += 1) {
    const progress = readIdentQuery(rest);
    if (progress.kind !== "query") return text;
    const { kind, ports } = progress.query;
    const what = kind === "ports" ? "USERID : UNIX : someone" : "ERROR : INVALID-PORT";
    text += `${ports.remote} , ${ports.local} : ${what}\r\n`;
    if (kind === "invalid") return text;
    rest = rest.subarray(progress.bytesUsed);
  }
  return text;
}

test(`any reply in any pieces is taken (seed ${SEED})`, { timeout: 0 }, async () => {
  const posix = loadPosix();
  const random = generator(SEED);
  let reply = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
    for (let at = 0; at < reply.length;) {
      const size = 1 + random(400);
      socket.write(reply.subarray(at, at + size));
      at += size;
    }
    socket.once("data", () => socket.end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: serverPort } = server.address() as AddressInfo;
  const remote = { address: LOCALHOST, port: PORTS.remote };
  const local = { address: LOCALHOST, port: PORTS.local };
  for (let run = 0; run < RUNS / 1000; run += 1) {
    reply = Buffer.from(room.subarray(0, fill(REPLIES, random)));
    const expected = readIdentReply(reply, PORTS, true);
    const outcome = await askIdent(posix, { remote, local, serverPort });
    if (expected.kind === "breach") {
      expect(outcome, `run ${run}`).toMatchObject({ kind: "failed", code: expected.code });
    } else {
      expect(outcome, `run ${run}`).toEqual(expected);
    }
  }
  server.close();
});

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte !== 0x7f;
}

function addressOf(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new TypeError(`Not an IP address: ${text}`);
  return address;
}
