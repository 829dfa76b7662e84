/**
 * The names of listeners' fifos (supervision.md, section 3.2): the moment of the subscription, and some
 * characters at random.
 */

import { formatTai64n, taiFromUnix } from "../../clock/index.ts";

const PREFIX = "ftrig1:@";
const LENGTH = 39;
/** What a fifo is called before it has its reader; notifiers pass it over. */
const TEMPORARY_MARK = ".";
const RANDOM_CHARACTERS = 6;

/** The 64 characters that names are made of. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZghijklmnopqrstuvwxyz-_0123456789abcdef";

/** A new name: `ftrig1:@400000006553f125075bcd15:AbC-_9`. */
export function newFifoName(
  realtimeNs: bigint,
  randomBytes: (count: number) => Uint8Array,
): string {
  const random = Array.from(randomBytes(RANDOM_CHARACTERS), (byte) => ALPHABET[byte & 63]);
  return `ftrig1:${formatTai64n(taiFromUnix(realtimeNs))}:${random.join("")}`;
}

/** The name under which a fifo is made. */
export function temporaryName(name: string): string {
  return `${TEMPORARY_MARK}${name}`;
}

/** Is this the name of a fifo that notifiers write to? */
export function isFifoName(name: string): boolean {
  return name.length === LENGTH && name.startsWith(PREFIX);
}

/** Is this what a listener's fifo is called while it is made? */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY_MARK) && isFifoName(name.slice(TEMPORARY_MARK.length));
}
