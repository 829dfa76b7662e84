/**
 * SNTP packets (RFC 4330; RFC 5905 section 14): the request of a client, and what an answer says.
 *
 * The request tells nothing about us: where the time of sending belongs there is a random number,
 * which the server sends back (draft-ietf-ntp-data-minimization). Only who saw the request can answer it.
 */

import { taiFromUnix } from "../index.ts";
import type { Tai } from "../index.ts";
import { NTP64_BYTES, unixFromNtp64 } from "./ntp64.ts";
import type { Judgement } from "./series.ts";

/** The length of a packet without extensions; of a longer answer the rest is ignored. */
export const SNTP_BYTES = 48;

/** The offsets of the fields. */
const FIELD = {
  flags: 0,
  stratum: 1,
  referenceId: 12,
  origin: 24,
  receive: 32,
  transmit: 40,
} as const;

/** Leap indicator 0, version 4, mode 3 (client). */
const CLIENT_FLAGS = 0x23;
const MODE = { symmetricPassive: 2, server: 4 } as const;
const UNSYNCHRONISED = 3;
const STRATUM_MAX = 15;

/** The fields of an answer that are about the server and its time. */
export interface SntpReply {
  /** A leap second is to be inserted into or taken out of the last minute of the month. */
  readonly leap: "none" | "insert" | "delete";
  /** 1 for a server with a clock of its own, 2 for one that asks such a server, up to 15. */
  readonly stratum: number;
  /** Four bytes: where the server has its time from. */
  readonly referenceId: Uint8Array;
  /** The times at which the request arrived and the answer left, as NTP timestamps. */
  readonly receive: bigint;
  readonly transmit: bigint;
}

/** A request that carries these 8 random bytes. */
export function formatSntpRequest(nonce: Uint8Array): Uint8Array {
  const packet = new Uint8Array(SNTP_BYTES);
  packet[FIELD.flags] = CLIENT_FLAGS;
  packet.set(nonce.subarray(0, NTP64_BYTES), FIELD.transmit);
  return packet;
}

/** Judge a datagram that came to a client that sent `nonce`. */
export function judgeSntpReply(packet: Uint8Array, nonce: Uint8Array): Judgement<SntpReply> {
  if (packet.length < SNTP_BYTES) return { kind: "foreign", why: "the answer is too short" };
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, SNTP_BYTES);
  if (!bytes.subarray(FIELD.origin, FIELD.origin + NTP64_BYTES).equals(nonce)) {
    return { kind: "foreign", why: "the answer is not to our request" };
  }
  const flags = bytes.readUInt8(FIELD.flags);
  const [version, mode] = [(flags >> 3) & 7, flags & 7];
  if (version === 0 || (mode !== MODE.server && mode !== MODE.symmetricPassive)) {
    return { kind: "unusable", why: `the answer is of version ${version}, mode ${mode}` };
  }
  const referenceId = Uint8Array.from(bytes.subarray(FIELD.referenceId, FIELD.referenceId + 4));
  const stratum = bytes.readUInt8(FIELD.stratum);
  if (stratum === 0) return judgeStratum0(referenceId);
  if (stratum > STRATUM_MAX) {
    return { kind: "unusable", why: `the server is of stratum ${stratum}, not synchronised` };
  }
  const reply = {
    leap: leapOf(flags >> 6),
    stratum,
    referenceId,
    receive: bytes.readBigUInt64BE(FIELD.receive),
    transmit: bytes.readBigUInt64BE(FIELD.transmit),
  };
  return judgeTimes(reply);
}

/**
 * Stratum 0 with letters as its reference is a kiss-o'-death, which says what the client should do (RFC 5905
 * section 7.4); with anything else it is a server that knows no time yet.
 */
function judgeStratum0(referenceId: Uint8Array): Judgement<never> {
  const code = Buffer.from(referenceId).toString("latin1").replace(/\0+$/, "");
  if (/^[A-Z]{1,4}$/.test(code)) return { kind: "stop", why: `kiss-o'-death ${code}` };
  return { kind: "unusable", why: "the server is of stratum 0, not synchronised" };
}

function judgeTimes(
  reply: Omit<SntpReply, "leap"> & { readonly leap: SntpReply["leap"] | undefined },
): Judgement<SntpReply> {
  const { leap, receive, transmit } = reply;
  if (leap === undefined) return { kind: "unusable", why: "the server is not synchronised" };
  if (receive === 0n || transmit === 0n) {
    return { kind: "unusable", why: "the answer does not contain the time" };
  }
  const [received, replied] = [taiOf(receive), taiOf(transmit)];
  return { kind: "answer", received, replied, reply: { ...reply, leap } };
}

/** Undefined where the clock of the server has never been set. */
function leapOf(indicator: number): SntpReply["leap"] | undefined {
  if (indicator === UNSYNCHRONISED) return undefined;
  return indicator === 0 ? "none" : indicator === 1 ? "insert" : "delete";
}

function taiOf(stamp: bigint): Tai {
  return taiFromUnix(unixFromNtp64(stamp));
}
