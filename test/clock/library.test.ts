/** The clocks as those who import the package see them. */

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { formatTai64n, parseTai64n, querySntp, taiFromUnix, utcFromTai } from "../../src/index.ts";
import type { Tai, Tai64n } from "../../src/index.ts";
import { ntp64FromUnix } from "../../src/clock/sync/index.ts";
import { nonceOf, sntpAnswer } from "./sync/packets.ts";

const AHEAD_NS = 3_600_000_000_000n;

test("querySntp measures the clock of this machine against a server", async () => {
  await using server = createSocket("udp4");
  server.on("message", (request: Buffer, { port, address }) => {
    const now = ntp64FromUnix(BigInt(Date.now()) * 1_000_000n + AHEAD_NS) ?? 0n;
    const answer = sntpAnswer({ origin: nonceOf(request), receive: now, transmit: now });
    server.send(answer, port, address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const outcome = await querySntp({
    host: "127.0.0.1",
    port: server.address().port,
    exchanges: 3,
  });
  if (outcome.kind !== "measured") return expect.unreachable(JSON.stringify(outcome));
  expect(outcome).toMatchObject({ answers: 3, reply: { stratum: 2, leap: "none" } });
  expect(Number(outcome.offsetNs - AHEAD_NS) / 1e9).toBeCloseTo(0, 0);
});

test("querySntp gives up in time, and takes no names", async () => {
  await using silent = createSocket("udp4");
  silent.bind(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address();
  const outcome = await querySntp({ host: "127.0.0.1", port, timeoutMs: 20 });
  expect(outcome).toEqual({ kind: "timedOut" });
  await expect(querySntp({ host: "localhost" })).rejects.toThrow(RangeError);
});

test("a label becomes an instant, UTC, and a label again", () => {
  const label: Tai64n = "@40000000586846a41dcd6500";
  const tai: Tai | undefined = parseTai64n(label);
  if (tai === undefined) return expect.unreachable();
  expect(utcFromTai(tai)).toEqual({
    unixNs: 1_483_228_800_500_000_000n,
    isLeapSecond: true,
  });
  expect(formatTai64n(tai)).toBe(label);
  expect(taiFromUnix(1_483_228_800_500_000_000n) - tai).toBe(1_000_000_000n);
});
