/**
 * TAICLOCK packets (https://cr.yp.to/proto/taiclock.txt): `ctai` or `stai`, an instant in 12 bytes,
 * four bytes that are zero, and whatever the client wants to get back, for us a cookie of 8 random bytes.
 */

import { packTai64n, TAI64N_BYTES, unpackTai64n } from "../index.ts";
import type { Tai } from "../index.ts";
import type { Judgement } from "./series.ts";

/** The length of a request of ours, and of what we need of an answer. */
export const TAICLOCK_BYTES = 28;

/** The longest request that a server reads; of a longer one the rest is cut off. */
export const TAICLOCK_REQUEST_BYTES_MAX = 256;

export const COOKIE_BYTES = 8;

/** The shortest request: without anything to get back. */
const REQUEST_BYTES_MIN = 20;
const TIME_AT = 4;
const COOKIE_AT = 20;
const REQUEST = Buffer.from("ctai");
const ANSWER = Buffer.from("stai");

/** A request with this cookie. Where the time of the client may be there are zeros. */
export function formatTaiclockRequest(cookie: Uint8Array): Uint8Array {
  const packet = new Uint8Array(TAICLOCK_BYTES);
  packet.set(REQUEST);
  packet.set(cookie.subarray(0, COOKIE_BYTES), COOKIE_AT);
  return packet;
}

/** Judge a datagram that came to a client that sent `cookie`. */
export function judgeTaiclockReply(packet: Uint8Array, cookie: Uint8Array): Judgement<Tai> {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  if (bytes.length < TAICLOCK_BYTES) return { kind: "foreign", why: "the answer is too short" };
  if (!bytes.subarray(0, TIME_AT).equals(ANSWER)) {
    return { kind: "foreign", why: "the answer is none of this protocol" };
  }
  if (!bytes.subarray(COOKIE_AT, COOKIE_AT + COOKIE_BYTES).equals(cookie)) {
    return { kind: "foreign", why: "the answer is not to our request" };
  }
  const time = unpackTai64n(bytes.subarray(TIME_AT, TIME_AT + TAI64N_BYTES));
  if (time === undefined) return { kind: "unusable", why: "the answer does not contain the time" };
  return { kind: "answer", received: time, replied: time, reply: time };
}

/**
 * Make the answer of a request in place, the same length, with the time in it; false where the bytes
 * are no request.
 */
export function answerTaiclock(packet: Uint8Array, now: Tai): boolean {
  if (packet.length < REQUEST_BYTES_MIN) return false;
  if (REQUEST.some((byte, index) => packet[index] !== byte)) return false;
  packet.set(ANSWER);
  packet.set(packTai64n(now), TIME_AT);
  return true;
}
