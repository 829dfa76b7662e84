/** The short way from `10.1.2.3` and `10.1.2.` to their keys, without a string in between. */

const COLON = 0x3a;
const DOT = 0x2e;
const ZERO = 0x30;
/** `ip4/` is here already. */
const SCRATCH = Buffer.from("ip4/255.255.255.255_32");
const KEY_AT = 4;
const TAILS = ["", ".0.0.0_8", ".0.0_16", ".0_24", "_32"].map((tail) => Buffer.from(tail));

/** A key in bytes that the next call overwrites. */
export const IP4_KEY: Uint8Array = SCRATCH;

/** How long the key in IP4_KEY is, and where in the source the address ended. */
export const ip4Key = { bytes: 0, end: 0 };

/**
 * Write the key of a dotted address, or of one to three octets that end in a dot, to IP4_KEY. False
 * unless a colon follows it, and where it has leading zeros.
 */
export function writeIp4Key(source: Uint8Array, start: number): boolean {
  let octets = 0;
  let digits = 0;
  let octet = 0;
  let to = KEY_AT;
  for (let at = start; at < source.length; at += 1) {
    const byte = source[at] as number;
    const digit = byte - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && octet === 0) return false;
      octet = octet * 10 + digit;
      digits += 1;
      if (octet > 255) return false;
    } else if (byte === COLON) {
      ip4Key.end = at;
      return endKey(to, octets, digits);
    } else {
      if (byte !== DOT || digits === 0 || octets === 3) return false;
      octets += 1;
      digits = 0;
      octet = 0;
    }
    SCRATCH[to] = byte;
    to += 1;
  }
  return false;
}

/** A fourth octet ends the text, or a dot does after fewer. */
function endKey(to: number, octets: number, digits: number): boolean {
  if (digits > 0 ? octets !== 3 : octets === 0) return false;
  ip4Key.bytes = digits > 0 ? appendTail(to, 4) : appendTail(to - 1, octets);
  return true;
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
