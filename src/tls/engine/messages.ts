/**
 * The messages between a server and its TLS engine, over a Unix socket of whole messages: one byte
 * that says what it is, four bytes that say about which configuration or tunnel (little-endian), and
 * a body, which is JSON. Descriptors travel beside it.
 */

import type { TlsFacts } from "../handshake/facts.ts";
import { formatFacts, parseFacts } from "./facts-message.ts";
import type { TunnelSettings } from "../tunnel/tunnel.ts";
import type { HandshakeLimits } from "../options/declarations.ts";
import type { SideMaterial } from "../handshake/side.ts";

/** One message. A configuration that is longer travels in several. */
export const MESSAGE_BYTES_MAX = 65_536;

const HEADER_BYTES = 5;

/** The settings with which the engine runs the tunnels of one configuration. */
export interface EngineConfiguration {
  readonly side: SideMaterial;
  readonly settings: TunnelSettings;
  readonly handshakes: HandshakeLimits;
  /** In whose name failures are reported. */
  readonly speaker: string;
}

/** The descriptors that are passed with a new tunnel, in this order; the network is one or two. */
export interface OpenRequest {
  readonly configuration: number;
  readonly network: 1 | 2;
  /** The control socket of UCSPI-TLS and the program's pipes, too. The configuration is that of then. */
  readonly waitsForCommand: boolean;
  /** By what handshakes are counted, for the log as well: the peer's address, for one. */
  readonly source: string;
}

/** From the server to the engine. */
export type Request =
  /** A part of a configuration; the last one makes it known. */
  | { readonly kind: "part" | "lastPart"; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: "forget"; readonly id: number }
  | { readonly kind: "open"; readonly id: number; readonly request: OpenRequest }
  /** In reply to `accepted`: make the handshake with this configuration; `abort` is the other reply. */
  | { readonly kind: "secure"; readonly id: number; readonly configuration: number }
  /** With the program's pipes. */
  | { readonly kind: "relay"; readonly id: number }
  | { readonly kind: "abort"; readonly id: number }
  /** To be answered with the same number. */
  | { readonly kind: "ping"; readonly id: number };

/** From the engine to the server. */
export type Reply =
  | { readonly kind: "secured"; readonly id: number; readonly facts: TlsFacts }
  /** The program has decided about UCSPI-TLS. If it wants TLS it waits for a request. */
  | { readonly kind: "accepted" | "declined"; readonly id: number }
  /** Before or after it was secured. */
  | { readonly kind: "ended"; readonly id: number; readonly exitCode: number }
  | { readonly kind: "pong"; readonly id: number };

const REQUESTS = [
  "part",
  "lastPart",
  "forget",
  "open",
  "secure",
  "relay",
  "abort",
  "ping",
] as const;
const REPLIES = ["secured", "accepted", "declined", "ended", "pong"] as const;
const KINDS: readonly string[] = [...REQUESTS, ...REPLIES];

export function formatMessage(message: Request | Reply): Uint8Array {
  const body = bodyOf(message);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  bytes.writeUInt8(KINDS.indexOf(message.kind), 0);
  bytes.writeUInt32LE(message.id, 1);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** A configuration as the messages that make it known. */
export function configurationParts(id: number, configuration: EngineConfiguration): Request[] {
  const bytes = Buffer.from(JSON.stringify(configuration));
  const most = MESSAGE_BYTES_MAX - HEADER_BYTES;
  const parts: Request[] = [];
  for (let at = 0; at < bytes.length; at += most) {
    const kind = at + most < bytes.length ? "part" : "lastPart";
    parts.push({ kind, id, bytes: bytes.subarray(at, at + most) });
  }
  return parts;
}

/** The messages of the server are trusted: it made the engine, and everything the engine knows. */
export function parseRequest(bytes: Uint8Array): Request {
  const { code, id, body } = parseHeader(bytes);
  const kind = REQUESTS[code];
  if (kind === undefined) throw new RangeError("not a request");
  switch (kind) {
    case "part":
    case "lastPart":
      return { kind, id, bytes: Buffer.from(body) };
    case "open":
      return { kind, id, request: JSON.parse(body.toString()) as OpenRequest };
    case "secure":
      return { kind, id, configuration: body.readUInt32LE() };
    case "forget":
    case "relay":
    case "abort":
    case "ping":
      return { kind, id };
  }
}

/**
 * The messages of the engine are not trusted: it parses bytes from the network, with less rights than
 * the server, and an attacker may have taken it over. Throws RangeError for anything but a reply.
 */
export function parseReply(bytes: Uint8Array): Reply {
  const { code, id, body } = parseHeader(bytes);
  const kind = REPLIES[code - REQUESTS.length];
  if (kind === undefined) throw new RangeError("not a reply");
  switch (kind) {
    case "secured":
      return { kind, id, facts: parseFacts(body.toString()) };
    case "accepted":
    case "declined":
    case "pong":
      return { kind, id };
    case "ended":
      if (body.length !== 1) throw new RangeError("not an exit code");
      return { kind, id, exitCode: body.readUInt8() };
  }
}

function bodyOf(message: Request | Reply): Uint8Array {
  switch (message.kind) {
    case "part":
    case "lastPart":
      return message.bytes;
    case "open":
      return Buffer.from(JSON.stringify(message.request));
    case "secure":
      return uint32(message.configuration);
    case "secured":
      return Buffer.from(formatFacts(message.facts));
    case "ended":
      return Uint8Array.of(message.exitCode);
    case "forget":
    case "relay":
    case "abort":
    case "accepted":
    case "declined":
    case "ping":
    case "pong":
      return NOTHING;
  }
}

const NOTHING = new Uint8Array(0);

function uint32(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function parseHeader(bytes: Uint8Array): { code: number; id: number; body: Buffer } {
  if (bytes.length < HEADER_BYTES) throw new RangeError("a message without a header");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    code: buffer.readUInt8(0),
    id: buffer.readUInt32LE(1),
    body: buffer.subarray(HEADER_BYTES),
  };
}
