/** The short way from `10.1.2.3` and `10.1.2.` to their keys, without a string in between. */

const DOT = 0x2e;
const ZERO = 0x30;
/** `ip4/` is here already. */
const SCRATCH = Buffer.from("ip4/255.255.255.255_32");
const KEY_AT = 4;
const TAILS = ["", ".0.0.0_8", ".0.0_16", ".0_24", "_32"].map((tail) => Buffer.from(tail));

/** A key in bytes that the next call overwrites. */
export const IP4_KEY: Uint8Array = SCRATCH;

/**
 * Write the key of a dotted address, or of one to three octets that end in a dot, to IP4_KEY: its
 * length, or 0 for any other text, leading zeros among it.
 */
export function writeIp4Key(source: Uint8Array, start: number, end: number): number {
  let octets = 0;
  let digits = 0;
  let octet = 0;
  let to = KEY_AT;
  if (end - start > 15) return 0;
  for (let at = start; at < end; at += 1) {
    const byte = source[at] as number;
    if (byte === DOT) {
      if (digits === 0 || octets === 3) return 0;
      octets += 1;
      digits = 0;
      octet = 0;
    } else {
      const digit = byte - ZERO;
      if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return 0;
      octet = octet * 10 + digit;
      digits += 1;
      if (octet > 255) return 0;
    }
    SCRATCH[to] = byte;
    to += 1;
  }
  if (digits > 0) return octets === 3 ? appendTail(to, 4) : 0;
  return octets === 0 ? 0 : appendTail(to - 1, octets);
}

function appendTail(to: number, octets: number): number {
  const tail = TAILS[octets] as Buffer;
  let end = to;
  for (const byte of tail) {
    SCRATCH[end] = byte;
    end += 1;
  }
  return end;
}
