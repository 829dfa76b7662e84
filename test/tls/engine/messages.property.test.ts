/** The messages between a server and its engine. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  configurationParts,
  formatMessage,
  MESSAGE_BYTES_MAX,
  parseReply,
  parseRequest,
} from "../../../src/tls/engine/messages.ts";
import type { EngineConfiguration, Reply, Request } from "../../../src/tls/engine/messages.ts";

const id = fc.nat({ max: 0xffffffff });
const text = fc.string({ maxLength: 40, unit: "grapheme" }).filter((it) => !it.includes("\0"));
const optionalText = fc.option(text, { nil: undefined });

const requests: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("part", "lastPart"),
    id,
    bytes: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({ kind: fc.constantFrom("forget", "relay", "abort", "ping"), id }),
  fc.record({
    kind: fc.constant("secure" as const),
    id,
    configuration: id,
  }),
  fc.record({
    kind: fc.constant("open" as const),
    id,
    request: fc.record({
      configuration: id,
      network: fc.constantFrom(1, 2),
      waitsForCommand: fc.boolean(),
      source: text,
    }),
  }),
);

const peer = fc.record({
  sha256: fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((hash) => Buffer.from(hash).toString("hex")),
  subject: optionalText,
  alternativeNames: fc.option(
    fc.array(fc.record({ kind: fc.constantFrom("dns", "email", "uri", "ip"), value: text })),
    { nil: undefined },
  ),
});

const replies: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({
    kind: fc.constant("secured" as const),
    id,
    facts: fc.record({
      protocol: text,
      cipher: text,
      serverName: optionalText,
      alpn: optionalText,
      reportsPeer: fc.boolean(),
      peer: fc.option(peer, { nil: undefined }),
    }),
  }),
  fc.record({ kind: fc.constantFrom("accepted", "declined", "pong"), id }),
  fc.record({ kind: fc.constant("ended" as const), id, exitCode: fc.nat({ max: 255 }) }),
);

describe("a message", () => {
  test("a message comes back as it was", () => {
    fc.assert(
      fc.property(requests, replies, (request, reply) => {
        expect(parseRequest(formatMessage(request))).toEqual(request);
        expect(parseReply(formatMessage(reply))).toEqual(reply);
      }),
    );
  });

  test("a message of one side is invalid on the other", () => {
    fc.assert(
      fc.property(requests, replies, (request, reply) => {
        expect(() => parseReply(formatMessage(request))).toThrow("not a reply");
        expect(() => parseRequest(formatMessage(reply))).toThrow("not a request");
      }),
    );
  });
});

describe("replies of an engine", () => {
  const jsonReplies = fc
    .tuple(id, fc.json({ maxDepth: 3 }))
    .map(([number, json]) => withFacts(number, json));
  const bent = fc.tuple(replies, fc.nat(), fc.nat({ max: 255 })).map(([reply, at, byte]) => {
    const bytes = Buffer.from(formatMessage(reply));
    bytes.writeUInt8(byte, at % bytes.length);
    return bytes;
  });

  test("a reply is accepted or refused, whatever the bytes; an accepted one can be written", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), jsonReplies, bent), (bytes) => {
        const reply = parsed(bytes);
        if (reply !== undefined) expect(parsed(formatMessage(reply))).toEqual(reply);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["is not JSON", "{"],
    ["is no object", "null"],
    ["lacks the protocol", '{"cipher":"x"}'],
    ["has a number for a text", '{"protocol":1,"cipher":"x"}'],
    ["has what cannot be in a variable", String.raw`{"protocol":"a\u0000b","cipher":"x"}`],
    ["has a text without end", `{"protocol":"${"x".repeat(5000)}","cipher":"x"}`],
    ["has a hash that is none", '{"protocol":"","cipher":"","peer":{"sha256":"../allow"}}'],
    ["has too many names", `{"protocol":"","cipher":"","peer":${JSON.stringify(namesOf(5000))}}`],
  ])("a reply is refused when it %s", (_, json) => {
    expect(() => parseReply(withFacts(1, json))).toThrow(/./);
  });

  function withFacts(number: number, json: string): Uint8Array {
    const header = formatMessage({ kind: "accepted", id: number });
    const bytes = Buffer.concat([header, Buffer.from(json)]);
    bytes.writeUInt8(6, 0);
    return bytes;
  }

  function namesOf(count: number): object {
    const name = { kind: "dns", value: "a" };
    return { sha256: "0".repeat(64), alternativeNames: Array.from({ length: count }, () => name) };
  }

  /** Undefined when it is refused, which is by these two errors and no other. */
  function parsed(bytes: Uint8Array): Reply | undefined {
    try {
      return parseReply(bytes);
    } catch (error) {
      if (error instanceof RangeError || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
});

test("a configuration travels in parts that fit, in order", () => {
  const chain = "c".repeat(3 * MESSAGE_BYTES_MAX);
  const configuration: EngineConfiguration = {
    speaker: "s6-tlsd-io",
    handshakes: { perSource: 1, inAll: 2 },
    settings: {
      handshakeTimeoutMs: 1,
      idleTimeoutMs: undefined,
      tellsTimeout: true,
      sendsCloseNotify: false,
      enforcesCloseNotify: false,
      closesBothWays: false,
    },
    side: {
      role: "server",
      material: {
        sniLevel: 0,
        defaultPair: { file: "f", chain, key: "k" },
        namedPairs: [],
        clientCertificate: "none",
        anchors: [],
        minVersion: "TLSv1.2",
        maxVersion: "TLSv1.3",
        ciphers: undefined,
        alpn: [],
      },
    },
  };
  const parts = configurationParts(7, configuration).map((part) => formatMessage(part));
  const bodies = parts.map((bytes) => {
    expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
    const request = parseRequest(bytes);
    return request.kind === "part" || request.kind === "lastPart" ? request : undefined;
  });
  expect(bodies.map((body) => body?.kind)).toEqual(["part", "part", "part", "lastPart"]);
  const json = Buffer.concat(bodies.map((body) => body?.bytes ?? Buffer.alloc(0))).toString();
  expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(configuration)));
});
