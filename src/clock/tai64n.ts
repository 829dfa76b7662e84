/**
 * TAI64N labels: the instants of logs, status files and the TAICLOCK protocol. 8 bytes of seconds, to
 * which 2^62 is added, and 4 bytes of nanoseconds, both big-endian; as text, `@` and 24 hexadecimal
 * digits. https://cr.yp.to/libtai/tai64.html
 */

import { floorDivide, NS_PER_SECOND, taiAt } from "./tai.ts";
import type { Tai } from "./tai.ts";

/** A label as text. */
export type Tai64n = `@${string}`;

/** Lengths of a label, as bytes and as text. */
export const TAI64N_BYTES = 12;
export const TAI64N_CHARACTERS = 25;

const EPOCH_LABEL = 1n << 62n;

/** Labels from 2^63 on are reserved. */
const LABEL_END = 1n << 63n;

const TEXT = /^@([0-9a-f]{24})$/i;

/** The 12 bytes of an instant. Throws RangeError for one that has no label. */
export function packTai64n(tai: Tai): Uint8Array {
  const seconds = floorDivide(tai, NS_PER_SECOND);
  const label = seconds + EPOCH_LABEL;
  if (label < 0n || label >= LABEL_END)
    throw new RangeError(`No TAI64 label for second ${seconds}`);
  const bytes = Buffer.alloc(TAI64N_BYTES);
  bytes.writeBigUInt64BE(label, 0);
  bytes.writeUInt32BE(Number(tai - seconds * NS_PER_SECOND), 8);
  return bytes;
}

/** The instant of 12 bytes; undefined when they are no label. Bytes after them are ignored. */
export function unpackTai64n(bytes: Uint8Array): Tai | undefined {
  if (bytes.length < TAI64N_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, TAI64N_BYTES);
  const label = view.getBigUint64(0);
  const nanoseconds = BigInt(view.getUint32(8));
  if (label >= LABEL_END || nanoseconds >= NS_PER_SECOND) return undefined;
  return taiAt((label - EPOCH_LABEL) * NS_PER_SECOND + nanoseconds);
}

/** `@400000006553f1251dcd6500`. Throws RangeError for an instant that has no label. */
export function formatTai64n(tai: Tai): Tai64n {
  return `@${Buffer.from(packTai64n(tai)).toString("hex")}`;
}

/** The instant of a label, the whole text, in digits of either case; undefined when it is none. */
export function parseTai64n(text: string): Tai | undefined {
  const [, digits] = TEXT.exec(text) ?? [];
  return digits === undefined ? undefined : unpackTai64n(Buffer.from(digits, "hex"));
}
