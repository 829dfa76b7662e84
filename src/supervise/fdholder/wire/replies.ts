/**
 * The replies of an fd holder, as bodies of Unix messages (local-services.md, section 9.3): a byte that is 0
 * or the number of an error, and what the request asked for.
 */

import { constants } from "node:os";
import { UNIX_MESSAGE_FDS_MAX } from "../../../net/index.ts";
import type { HolderId } from "../held-table.ts";
import { formatUint32, isHolderId } from "./requests.ts";

/**
 * Names of errors by their number on this system, which is what travels. Of two names for one number the first
 * in the alphabet counts: EAGAIN, not EWOULDBLOCK.
 */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .map(([name, number]) => [number, name]),
);
const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(constants.errno));

/** The reply to a request that has been carried out and has nothing to tell. */
export const DONE_REPLY: Uint8Array = Uint8Array.of(0);

/** The reply of an error; `code` is an errno name. */
export function formatErrorReply(code: string): Uint8Array {
  return Uint8Array.of(NUMBERS.get(code) ?? constants.errno.EPROTO);
}

/** The errno name that the first byte of a reply stands for; undefined for 0, which is success. */
export function parseStatus(body: Uint8Array): string | undefined {
  const [status] = body;
  if (status === 0) return undefined;
  return (status !== undefined && NAMES.get(status)) || "EPROTO";
}

/** The number of messages that a dump of so many entries takes. */
export function dumpTrips(total: number): number {
  return Math.ceil(total / UNIX_MESSAGE_FDS_MAX);
}

export function formatListReply(ids: readonly HolderId[]): Buffer {
  const text = ids.map((id) => `${id}\0`).join("");
  return Buffer.concat([DONE_REPLY, formatUint32(ids.length), Buffer.from(text, "latin1")]);
}

/** The identifiers of a list; undefined where the reply is malformed. */
export function parseListReply(body: Uint8Array): HolderId[] | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (bytes.length < 5) return undefined;
  const words = bytes.toString("latin1", 5).split("\0");
  const isWhole = words.pop() === "" && words.length === bytes.readUInt32BE(1);
  return isWhole && words.every(isHolderId) ? words : undefined;
}

/** Success, and some numbers: what a dump begins with. */
export function formatNumbersReply(...numbers: readonly number[]): Buffer {
  return Buffer.concat([DONE_REPLY, ...numbers.map(formatUint32)]);
}

/** The numbers of such a reply; undefined where there are not `count` of them. */
export function parseNumbersReply(body: Uint8Array, count: number): number[] | undefined {
  if (body.length !== 1 + 4 * count) return undefined;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  return Array.from({ length: count }, (_, index) => bytes.readUInt32BE(1 + 4 * index));
}
