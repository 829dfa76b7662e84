/** The short ways from `10.1.2.3` and `10.1.2.` to their keys, and back, without a string in between. */

const COLON = 0x3a;
const DOT = 0x2e;
const ZERO = 0x30;
const BAR = 0x5f;
/** `ip4/` is here already. */
const SCRATCH = Buffer.from("ip4/255.255.255.255_32");
const KEY_AT = 4;
const TAILS = ["", ".0.0.0_8", ".0.0_16", ".0_24", "_32"].map((tail) => Buffer.from(tail));

/** A key in bytes that the next call overwrites. */
export const IP4_KEY: Uint8Array = SCRATCH;

/** The length of the key in IP4_KEY, and the end of the address in the source. */
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

/** An IPv4 network: its first address as a number, and its length. */
export interface Ip4Network {
  readonly first: number;
  readonly bits: number;
}

/**
 * The network whose key these bytes are; undefined for any other, one that only looks like a network
 * but that no check asks for (leading zeros, stray bits) included.
 */
export function parseIp4Key(key: Uint8Array): Ip4Network | undefined {
  for (let at = 0; at < KEY_AT; at += 1) if (key[at] !== SCRATCH[at]) return undefined;
  let first = 0;
  let at = KEY_AT;
  for (let octet = 0; octet < 4; octet += 1) {
    const end = digitsEnd(key, at);
    const value = decimal(key, at, end);
    if (value > 255 || key[end] !== (octet === 3 ? BAR : DOT)) return undefined;
    first = first * 256 + value;
    at = end + 1;
  }
  const bits = decimal(key, at, digitsEnd(key, at));
  if (bits > 32 || digitsEnd(key, at) !== key.length || first % 2 ** (32 - bits) !== 0) {
    return undefined;
  }
  return { first, bits };
}

function digitsEnd(key: Uint8Array, start: number): number {
  let at = start;
  while (at < key.length && (key[at] as number) >= ZERO && (key[at] as number) <= ZERO + 9) at += 1;
  return at;
}

/** One to three digits without a leading zero; Infinity for anything else. */
function decimal(key: Uint8Array, start: number, end: number): number {
  if (end === start || end > start + 3 || (key[start] === ZERO && end > start + 1)) return Infinity;
  let value = 0;
  for (let at = start; at < end; at += 1) value = value * 10 + (key[at] as number) - ZERO;
  return value;
}
