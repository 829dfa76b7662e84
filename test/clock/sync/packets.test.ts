import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { packTai64n, taiFromUnix } from "../../../src/clock/index.ts";
import {
  answerTaiclock,
  formatSntpRequest,
  formatTaiclockRequest,
  judgeSntpReply,
  judgeTaiclockReply,
} from "../../../src/clock/sync/index.ts";
import { NONCE, sntpAnswer, SOME_STAMP } from "./packets.ts";
import type { SntpFields } from "./packets.ts";

const SOME_TIME = taiFromUnix(1_700_000_000_500_000_000n);

describe("an SNTP request", () => {
  test("an SNTP request is of version 4, a client's, and carries nothing but a random number", () => {
    const expected = Buffer.alloc(48);
    expected[0] = 0x23;
    expected.set(NONCE, 40);
    expect(Buffer.from(formatSntpRequest(NONCE))).toEqual(expected);
  });
});

describe("an SNTP answer", () => {
  test("an SNTP answer gives the times when the request arrived and when it left", () => {
    const answer = sntpAnswer({ receive: SOME_STAMP - (1n << 32n), leap: 1, referenceId: "GPS" });
    expect(judgeSntpReply(answer, NONCE)).toEqual({
      kind: "answer",
      received: SOME_TIME - 1_000_000_000n,
      replied: SOME_TIME,
      reply: {
        leap: "insert",
        stratum: 2,
        referenceId: Uint8Array.from(Buffer.from("GPS\0")),
        receive: SOME_STAMP - (1n << 32n),
        transmit: SOME_STAMP,
      },
    });
  });

  test.each<[string, string, Partial<SntpFields>]>([
    ["answer", "mode 2, version 1, longer", { mode: 2, version: 1, length: 68 }],
    ["answer", "stratum 15", { stratum: 15 }],
    ["answer", "a second to be taken out", { leap: 2 }],
    ["foreign", "47 bytes", { length: 47 }],
    ["foreign", "no bytes", { length: 0 }],
    ["foreign", "another origin", { origin: Buffer.alloc(8, 1) }],
    ["foreign", "a kiss-o'-death to somebody else", { stratum: 0, origin: Buffer.alloc(8) }],
    ["unusable", "mode 1", { mode: 1 }],
    ["unusable", "mode 3, our own request", { mode: 3 }],
    ["unusable", "mode 5, broadcast", { mode: 5 }],
    ["unusable", "version 0", { version: 0 }],
    ["unusable", "not synchronised", { leap: 3 }],
    ["unusable", "stratum 16", { stratum: 16 }],
    ["unusable", "stratum 255", { stratum: 255 }],
    ["unusable", "no time of sending", { transmit: 0n }],
    ["unusable", "no time of arrival", { receive: 0n }],
    ["stop", "stratum 0", { stratum: 0, referenceId: "RATE" }],
  ])("an SNTP answer is %s: %s", (kind, _, fields) => {
    expect(judgeSntpReply(sntpAnswer(fields), NONCE).kind).toBe(kind);
  });

  test.each([
    ["RATE", "stop", "kiss-o'-death RATE"],
    ["DENY", "stop", "kiss-o'-death DENY"],
    ["", "unusable", "the server is of stratum 0, not synchronised"],
    ["\0\0\0\x01", "unusable", "the server is of stratum 0, not synchronised"],
    ["\x1b[2J", "unusable", "the server is of stratum 0, not synchronised"],
  ])("an SNTP answer of stratum 0 with %j is %s: %s", (referenceId, kind, why) => {
    const verdict = judgeSntpReply(sntpAnswer({ stratum: 0, leap: 3, referenceId }), NONCE);
    expect(verdict).toEqual({ kind, why });
  });

  test("an SNTP answer of any bytes is judged", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, isOurs) => {
        if (isOurs && bytes.length >= 32) bytes.set(NONCE, 24);
        const verdict = judgeSntpReply(bytes, NONCE);
        expect(verdict.kind === "foreign").toBe(!isOurs || bytes.length < 48);
        if (verdict.kind !== "answer") expect(verdict.why).toMatch(/^[\x20-\x7e]{1,80}$/);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("TAICLOCK packets", () => {
  test("TAICLOCK packets are asked and answered in place", () => {
    const packet = Buffer.from(formatTaiclockRequest(NONCE));
    expect(packet.toString("hex")).toBe(`63746169${"00".repeat(16)}0123456789abcdef`);
    expect(answerTaiclock(packet, SOME_TIME)).toBe(true);
    expect(packet.toString("hex")).toBe("73746169400000006553f1251dcd6500000000000123456789abcdef");
    expect(judgeTaiclockReply(packet, NONCE)).toEqual({
      kind: "answer",
      received: SOME_TIME,
      replied: SOME_TIME,
      reply: SOME_TIME,
    });
  });

  test.each([
    ["19 bytes", Buffer.from(formatTaiclockRequest(NONCE)).subarray(0, 19)],
    ["an answer", Buffer.from(`stai${"\0".repeat(24)}`)],
    ["nothing", Buffer.alloc(0)],
    ["something else", Buffer.alloc(28, "ctaj")],
  ])("TAICLOCK packets are left alone and unanswered: %s", (_, packet) => {
    const before = Buffer.from(packet);
    expect(answerTaiclock(packet, SOME_TIME)).toBe(false);
    expect(packet).toEqual(before);
  });

  test("TAICLOCK packets keep everything behind the time", () => {
    const packet = Buffer.concat([Buffer.from(formatTaiclockRequest(NONCE)), Buffer.alloc(228, 7)]);
    const before = Buffer.from(packet);
    expect(answerTaiclock(packet, SOME_TIME)).toBe(true);
    expect(packet.subarray(16)).toEqual(before.subarray(16));
    expect(judgeTaiclockReply(packet, NONCE).kind).toBe("answer");
  });

  test.each([
    ["foreign", (packet: Buffer) => packet.subarray(0, 27)],
    ["foreign", (packet: Buffer) => packet.fill("ctai", 0, 4)],
    ["foreign", (packet: Buffer) => packet.fill(0, 20, 28)],
    ["unusable", (packet: Buffer) => packet.fill(0xff, 4, 16)],
    ["unusable", (packet: Buffer) => packet.fill(0xff, 12, 16)],
  ])("TAICLOCK packets that are no answer are %s (%#)", (kind, spoil) => {
    const packet = Buffer.from(formatTaiclockRequest(NONCE));
    answerTaiclock(packet, SOME_TIME);
    expect(judgeTaiclockReply(spoil(packet), NONCE).kind).toBe(kind);
  });

  test("TAICLOCK packets of any bytes are judged, and answered only as requests", () => {
    const starts = fc.constantFrom("ctai", "stai", "xxxx").map((text) => Buffer.from(text));
    fc.assert(
      fc.property(starts, fc.uint8Array({ maxLength: 260 }), (start, rest) => {
        const packet = Buffer.concat([start, rest]);
        const { kind } = judgeTaiclockReply(packet, packet.subarray(20, 28));
        const isAnswer = start.equals(Buffer.from("stai")) && packet.length >= 28;
        expect(kind === "foreign").toBe(!isAnswer);
        const isRequest = start.equals(Buffer.from("ctai")) && packet.length >= 20;
        expect(answerTaiclock(packet, SOME_TIME)).toBe(isRequest);
        if (isRequest) expect(packet.subarray(4, 16)).toEqual(packTai64n(SOME_TIME));
      }),
      { numRuns: 5000 },
    );
  });
});
