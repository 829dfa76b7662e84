import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";

import { FakeClock } from "../../support/fake-clock.ts";
import { deadlineAfter, systemClockWith, taiFromUnix } from "../../../src/clock/index.ts";
import {
  answerTaiclock,
  ntp64FromUnix,
  querySntp,
  queryTaiclock,
} from "../../../src/clock/sync/index.ts";
import { parseIp } from "../../../src/net/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import { nonceOf, sntpAnswer } from "./packets.ts";

import type { RemoteInfo, Socket } from "node:dgram";
import type { Clock } from "../../../src/clock/index.ts";
import type { Posix } from "../../../src/posix/index.ts";
import type { SeriesOptions, SyncWorld } from "../../../src/clock/sync/index.ts";

const MS = 1_000_000n;
const posix = loadPosix();
const servers: Socket[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers the datagrams of a client, which are numbered from 1. */
type Answer = (
  request: Buffer,
  reply: (packet: Uint8Array) => void,
  number: number,
  clientPort: number,
) => void;

async function serve(answer: Answer, host = "127.0.0.1"): Promise<SeriesOptions["server"]> {
  const server = createSocket(host.includes(":") ? "udp6" : "udp4");
  let number = 0;
  server.on("message", (request: Buffer, from: RemoteInfo) => {
    number += 1;
    const reply = (packet: Uint8Array): void => server.send(packet, from.port, from.address);
    answer(request, reply, number, from.port);
  });
  servers.push(server);
  server.bind(0, host);
  await once(server, "listening");
  return endpoint(host, server.address().port);
}

function endpoint(host: string, port: number): SeriesOptions["server"] {
  const address = parseIp(host);
  if (address === undefined) throw new TypeError(`Not an IP address: ${host}`);
  return { address, port };
}

/** A system whose random bytes are 1, 1, ..., then 2, 2, ... */
function world(clock: Clock = systemClockWith(() => posix.realtimeNs())): SyncWorld {
  let calls = 0;
  return { posix, clock, randomBytes: (count) => Buffer.alloc(count, ++calls) };
}

/** The kernel, but for these calls. */
function withCalls(calls: Partial<Posix>): Posix {
  return new Proxy(posix, {
    get(target, name): unknown {
      const own: unknown = Reflect.get(calls, name);
      const call: unknown = own ?? Reflect.get(target, name);
      return typeof call === "function" && own === undefined ? call.bind(target) : call;
    },
  });
}

/** The answer of an SNTP server whose clock is `aheadNs` ahead. */
function timely(request: Buffer, aheadNs = 0n): Buffer {
  const now = ntp64FromUnix(posix.realtimeNs() + aheadNs) ?? 0n;
  return sntpAnswer({ origin: nonceOf(request), receive: now, transmit: now });
}

describe("a series of SNTP exchanges", () => {
  test.each([
    ["127.0.0.1", 0n],
    ["::1", 0n],
    ["127.0.0.1", 3_600_000_000_000n],
    ["127.0.0.1", -3_600_000_000_000n],
    ["127.0.0.1", 50n * 365n * 86_400n * 1000n * MS],
  ])(
    "a series of SNTP exchanges with %s measures a server that is ahead by %d ns",
    async (host, aheadNs) => {
      const server = await serve((request, reply) => reply(timely(request, aheadNs)), host);
      const outcome = await querySntp(world(), { server, exchanges: 5 });
      if (outcome.kind !== "measured") return expect.unreachable(JSON.stringify(outcome));
      expect(outcome.answers).toBe(5);
      expect(outcome.reply).toMatchObject({ stratum: 2, leap: "none" });
      const leapSecondsNs = 100n * 1000n * MS;
      const missed = outcome.offsetNs - aheadNs;
      expect(missed < 0n ? -missed : missed).toBeLessThan(leapSecondsNs);
      expect(outcome.uncertaintyNs).toBeLessThan(1000n * MS);
    },
  );

  test("a series of SNTP exchanges sends a fresh random number each time, and nothing of its clock", async () => {
    const requests: string[] = [];
    const server = await serve((request, reply) => {
      requests.push(request.toString("hex"));
      reply(timely(request));
    });
    await querySntp(world(), { server, exchanges: 2 });
    const zeros = "00".repeat(39);
    expect(requests).toEqual([1, 2].map((n) => `23${zeros}${`0${n}`.repeat(8)}`));
  });

  test("a series of SNTP exchanges ignores datagrams that do not answer it", async () => {
    const server = await serve((request, reply) => {
      reply(Buffer.from("x"));
      reply(sntpAnswer({ origin: Buffer.alloc(8, 9) }));
      reply(Buffer.alloc(2000, 0x24));
      reply(timely(request));
    });
    const outcome = await querySntp(world(), { server, exchanges: 3 });
    expect(outcome).toMatchObject({ kind: "measured", answers: 3 });
  });

  test("a series of SNTP exchanges ignores datagrams from other addresses than the server's", async () => {
    const stranger = createSocket("udp4");
    servers.push(stranger);
    const server = await serve((request, reply, _, clientPort) => {
      const forged = timely(request, 1000n * 1000n * MS);
      stranger.send(forged, clientPort, "127.0.0.1", () => reply(timely(request)));
    });
    const outcome = await querySntp(world(), { server, exchanges: 1 });
    if (outcome.kind !== "measured") return expect.unreachable(JSON.stringify(outcome));
    expect(outcome.offsetNs).toBeLessThan(100n * 1000n * MS);
  });

  test("a series of SNTP exchanges goes on after an exchange that failed", async () => {
    const server = await serve((request, reply, number) => {
      reply(number % 2 === 0 ? timely(request) : sntpAnswer({ origin: nonceOf(request), leap: 3 }));
    });
    const heard: string[] = [];
    const outcome = await querySntp(world(), { server, exchanges: 4 }, (exchange, number) => {
      heard.push(`${number} ${exchange.kind === "failed" ? exchange.why : exchange.kind}`);
    });
    expect(outcome).toMatchObject({ kind: "measured", answers: 2 });
    const why = "the server is not synchronised";
    expect(heard).toEqual([`1 ${why}`, "2 answered", `3 ${why}`, "4 answered"]);
  });

  test("a series of SNTP exchanges stops asking when it is told to, and keeps what it has", async () => {
    let asked = 0;
    const server = await serve((request, reply, number) => {
      asked = number;
      const kiss = sntpAnswer({ origin: nonceOf(request), stratum: 0, referenceId: "RATE" });
      reply(number < 3 ? timely(request) : kiss);
    });
    const outcome = await querySntp(world(), { server, exchanges: 10 });
    expect(outcome).toMatchObject({ kind: "measured", answers: 2 });
    expect(asked).toBe(3);
  });

  test("a series of SNTP exchanges fails when every exchange does, for the reason of the last", async () => {
    const server = await serve((request, reply) => {
      reply(sntpAnswer({ origin: nonceOf(request), stratum: 0, referenceId: "DENY" }));
    });
    const outcome = await querySntp(world(), { server });
    expect(outcome).toEqual({ kind: "failed", why: "kiss-o'-death DENY" });
    const none = await querySntp(world(), { server, exchanges: 0 });
    expect(none).toEqual({ kind: "failed", why: "no exchange was asked for" });
  });

  test("a series of SNTP exchanges fails at once where no server listens", async () => {
    const server = await serve(() => {});
    servers.pop()?.close();
    const outcome = await querySntp(world(), { server, exchanges: 3 });
    expect(outcome).toEqual({ kind: "failed", why: posix.strerror("ECONNREFUSED") });
  });

  test("a series of SNTP exchanges fails without a route", async () => {
    const outcome = await querySntp(world(), { server: endpoint("fe80::1", 123) });
    expect(outcome).toEqual({ kind: "failed", why: posix.strerror("EINVAL") });
  });

  test("a series of SNTP exchanges gives up an exchange at its timeout, a series at its deadline", async () => {
    const clock = new FakeClock(posix.realtimeNs());
    const server = await serve((_, __, number) => clock.advance(number < 3 ? 2000 : 10_000));
    const heard: string[] = [];
    const outcome = await querySntp(
      world(clock),
      { server, exchanges: 5, deadline: deadlineAfter(clock, 10_000) },
      (exchange) => heard.push(exchange.kind === "failed" ? exchange.why : exchange.kind),
    );
    expect(outcome).toEqual({ kind: "timedOut" });
    const why = posix.strerror("ETIMEDOUT");
    expect(heard).toEqual([why, why]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a series of SNTP exchanges reports, for an exchange that timed out, what arrived instead of an answer", async () => {
    const clock = new FakeClock(posix.realtimeNs());
    const server = await serve((_, reply) => reply(Buffer.from("x")));
    const heard: string[] = [];
    const receiveMessage: Posix["receiveMessage"] = (fd, into) => {
      const message = posix.receiveMessage(fd, into);
      clock.advance(5000);
      return message;
    };
    const impatient = { ...world(clock), posix: withCalls({ receiveMessage }) };
    await querySntp(impatient, { server, exchanges: 1 }, (exchange) => {
      heard.push(exchange.kind === "failed" ? exchange.why : exchange.kind);
    });
    expect(heard).toEqual(["the answer is too short"]);
  });

  test("a series of SNTP exchanges pauses between exchanges, and not after the last", async () => {
    const clock = new FakeClock(posix.realtimeNs());
    const pauses: number[] = [];
    const stepping: Clock = {
      monotonicMs: () => clock.monotonicMs(),
      realtimeNs: () => posix.realtimeNs(),
      setTimer(delayMs, fire) {
        const timer = clock.setTimer(delayMs, fire);
        if (delayMs <= 200) {
          pauses.push(delayMs);
          queueMicrotask(() => clock.advance(delayMs));
        }
        return timer;
      },
    };
    const server = await serve((request, reply) => reply(timely(request)));
    const outcome = await querySntp(world(stepping), { server, exchanges: 3, pauseMs: 200 });
    expect(outcome).toMatchObject({ kind: "measured", answers: 3 });
    expect(pauses).toEqual([200, 200]);
  });
});

test("a series of TAICLOCK exchanges measures as well", async () => {
  const server = await serve((request, reply) => {
    answerTaiclock(request, taiFromUnix(posix.realtimeNs() + 5000n * 1000n * MS));
    reply(request);
  });
  const outcome = await queryTaiclock(world(), { server, exchanges: 4 });
  if (outcome.kind !== "measured") return expect.unreachable(JSON.stringify(outcome));
  expect(outcome.answers).toBe(4);
  expect(outcome.offsetNs - 5000n * 1000n * MS).toBeLessThan(1000n * MS);
});
