/**
 * Offset records, by which the clients tell `s6-clockadd` and `s6-clockview` how far the clock is off:
 * 12 bytes, a signed number of seconds (64 bits, big-endian), and nanoseconds (32 bits), which are
 * always added.
 */

import type { Fd, Posix } from "../../posix/index.ts";
import { floorDivide, NS_PER_SECOND } from "../index.ts";

export const OFFSET_RECORD_BYTES = 12;

/** The record of an offset. Throws RangeError for one whose seconds do not fit into 64 bits. */
export function formatOffset(offsetNs: bigint): Uint8Array {
  const seconds = floorDivide(offsetNs, NS_PER_SECOND);
  const record = Buffer.alloc(OFFSET_RECORD_BYTES);
  record.writeBigInt64BE(seconds, 0);
  record.writeUInt32BE(Number(offsetNs - seconds * NS_PER_SECOND), 8);
  return record;
}

/** The offset in nanoseconds; undefined when the bytes are no record. Bytes after it are ignored. */
export function parseOffset(bytes: Uint8Array): bigint | undefined {
  if (bytes.length < OFFSET_RECORD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, OFFSET_RECORD_BYTES);
  const nanoseconds = BigInt(view.getUint32(8));
  if (nanoseconds >= NS_PER_SECOND) return undefined;
  return view.getBigInt64(0) * NS_PER_SECOND + nanoseconds;
}

/**
 * Read one record, and not more, from a descriptor; what there was of it where the input ends early.
 * Blocks the process.
 */
export function readOffsetRecord(posix: Posix, fd: Fd): Uint8Array {
  const record = new Uint8Array(OFFSET_RECORD_BYTES);
  for (let used = 0; ;) {
    const count = posix.read(fd, record.subarray(used));
    used += count ?? 0;
    if (count === 0 || used === OFFSET_RECORD_BYTES) return record.subarray(0, used);
    if (count === undefined) posix.waitReady(fd, { readable: true }, -1);
  }
}
