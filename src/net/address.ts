/**
 * IP addresses: text to value and back, in the forms of the suite, and the bytes and numbers that the
 * kernel and wire formats use. Stricter than the C suite, which lets an address be followed by junk
 * (differs.md, "IP parsers"). Prefixes as users type them are in prefix.ts, ports in numbers.ts.
 *
 * Formatting and parsing happen per connection, and formatting up to 129 times for one look-up of an
 * access rule: both walk characters and tables instead of using regular expressions.
 */

import type { SocketAddress } from "../posix/index.ts";

/** An IPv4 or IPv6 address: 4 or 16 bytes in network order. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** An address and a TCP or UDP port. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** A restriction to one family, or to none where undefined. */
export type Family = 4 | 6 | undefined;

/** The longest list of addresses or DNS servers that the suite keeps (S6DNS_MAX). */
export const IP_LIST_MAX = 16;

/** The addresses a server binds to when it serves every interface. */
export const IP4_ANY: IpAddress = { family: 4, bytes: new Uint8Array(4) };
export const IP6_ANY: IpAddress = { family: 6, bytes: new Uint8Array(16) };

/** `0` to `255`, then the same bytes in hexadecimal, without and with a leading zero. */
const DECIMAL = Array.from({ length: 256 }, (_, byte) => String(byte));
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16));
const HEX2 = HEX.map((digits) => digits.padStart(2, "0"));

const ZERO = 0x30;
const DOT = 0x2e;
const COLON = 0x3a;
const LIST_SEPARATORS = /[,; \t\r\n]+/;
const LIST_SEPARATORS_IP4 = /[,:; \t\r\n]+/;

/**
 * The canonical text of an address: dotted decimal, or RFC 5952 but never with a dotted quad
 * (`::ffff:1.2.3.4` prints as `::ffff:102:304`).
 */
export function formatIp(ip: IpAddress): string {
  return ip.family === 4 ? formatIp4(ip.bytes, 32) : formatIp6(ip.bytes, 128);
}

/** The result of `formatIp(maskIp(ip, bits))`, without the address in between. */
export function formatMaskedIp(ip: IpAddress, bits: number): string {
  return ip.family === 4 ? formatIp4(ip.bytes, bits) : formatIp6(ip.bytes, bits);
}

/** An address of either family, the whole text; undefined when it is not one. No zone (`%lo`). */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(":") ? parseIp6(text) : parseIp4(text);
}

/**
 * Dotted decimal, the whole text: four fields of 0 to 255. Leading zeros are allowed and do not mean
 * octal; short forms (`127.1`) are refused.
 */
export function parseIp4(text: string): IpAddress | undefined {
  const bytes = new Uint8Array(4);
  return scanIp4(text, 0, bytes) ? { family: 4, bytes } : undefined;
}

/**
 * IPv6 text, the whole of it: groups of at most 4 hexadecimal digits, at most one `::`, which has to
 * stand for at least two groups, and optionally a dotted quad for the last two.
 */
export function parseIp6(text: string): IpAddress | undefined {
  const scanner = new GroupScanner(text);
  const gap = text.indexOf("::");
  if (gap < 0) return scanner.scan(0, text.length) ? scanner.address(undefined) : undefined;
  if (gap > 0 && !scanner.scan(0, gap)) return undefined;
  const head = scanner.used;
  const tailStart = gap + 2;
  if (tailStart < text.length && !scanner.scan(tailStart, text.length)) return undefined;
  return scanner.address(head);
}

/**
 * Addresses separated by runs of comma, semicolon and white space (and colons, where `family` is 4).
 * Separators around the list are ignored; the empty text is the empty list. Undefined when an entry
 * is no address of that family. Addresses past `most` (IP_LIST_MAX unless given) are left out.
 */
export function parseIpList(
  text: string,
  options: { readonly family?: Family; readonly most?: number } = {},
): IpAddress[] | undefined {
  const { family, most = IP_LIST_MAX } = options;
  const addresses: IpAddress[] = [];
  for (const word of text.split(family === 4 ? LIST_SEPARATORS_IP4 : LIST_SEPARATORS)) {
    if (word === "") continue;
    const address = parseIp(word);
    if (address === undefined || !isOfFamily(address, family)) return undefined;
    if (addresses.length < most) addresses.push(address);
  }
  return addresses;
}

/** True when `family` is undefined or the address is of it. */
export function isOfFamily(ip: IpAddress, family: Family): boolean {
  return family === undefined || ip.family === family;
}

/** The address whose first `bits` bits (0 to 32 or 128) are those of `ip`, and the rest zero. */
export function maskIp(ip: IpAddress, bits: number): IpAddress {
  const bytes = Uint8Array.from(ip.bytes); // a Buffer's slice() would share memory
  const whole = bits >> 3;
  if (whole < bytes.length) {
    bytes[whole] = maskedByte(bytes, whole, bits);
    bytes.fill(0, whole + 1);
  }
  return { family: ip.family, bytes };
}

/** Same family and same bytes. An IPv4-mapped IPv6 address is not the IPv4 address it holds. */
export function isSameIp(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.bytes.every((byte, index) => byte === b.bytes[index]);
}

/** The address of 4 or 16 bytes in network order; they are not copied. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return { family: 4, bytes };
  if (bytes.length === 16) return { family: 6, bytes };
  throw new RangeError(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
}

/** An IPv4 address as a number, 0 to 2^32 - 1; of an IPv6 address, its last 32 bits. */
export function ip4ToNumber(ip: IpAddress): number {
  const from = ip.bytes.length - 4;
  return ((byteAt(ip.bytes, from) << 24) | lowBytes(ip.bytes, from + 1)) >>> 0;
}

/** The IPv4 address of a number, of which the low 32 bits count. */
export function ip4FromNumber(value: number): IpAddress {
  return { family: 4, bytes: Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value) };
}

/** Is this an IPv6 address of ::ffff:0:0/96, an IPv4 address in disguise (RFC 4291 section 2.5.5.2)? */
export function isIp4Mapped(ip: IpAddress): boolean {
  if (ip.family !== 6 || byteAt(ip.bytes, 10) !== 0xff || byteAt(ip.bytes, 11) !== 0xff)
    return false;
  return ip.bytes.subarray(0, 10).every((byte) => byte === 0);
}

/** The IPv4 address of a mapped one; any other address as it is. */
export function unmapIp(ip: IpAddress): IpAddress {
  return isIp4Mapped(ip) ? { family: 4, bytes: Uint8Array.from(ip.bytes.subarray(12)) } : ip;
}

/** The kernel's form of this endpoint. `scope` is the interface index of a link-local address. */
export function toSocketAddress(endpoint: Endpoint, scope = 0): SocketAddress {
  const { address, port } = endpoint;
  return { family: address.family === 4 ? "inet" : "inet6", bytes: address.bytes, port, scope };
}

/** The endpoint of a TCP or UDP socket; undefined for a Unix one. The scope is lost. */
export function fromSocketAddress(socket: SocketAddress): Endpoint | undefined {
  if (socket.family === "unix") return undefined;
  const family = socket.family === "inet" ? 4 : 6;
  return { address: { family, bytes: socket.bytes }, port: socket.port };
}

function formatIp4(bytes: Uint8Array, bits: number): string {
  return (
    decimalAt(bytes, 0, bits) +
    "." +
    decimalAt(bytes, 1, bits) +
    "." +
    decimalAt(bytes, 2, bits) +
    "." +
    decimalAt(bytes, 3, bits)
  );
}

function decimalAt(bytes: Uint8Array, index: number, bits: number): string {
  return DECIMAL[maskedByte(bytes, index, bits)] ?? "";
}

function formatIp6(bytes: Uint8Array, bits: number): string {
  const run = longestZeroRun(bytes, bits);
  const runStart = run >> 4;
  const runEnd = runStart + (run & 15);
  let text = "";
  for (let group = 0; group < 8; group += 1) {
    if (group === runStart && runEnd > runStart) {
      text += runEnd === 8 ? "::" : ":";
      group = runEnd - 1;
      continue;
    }
    if (group > 0) text += ":";
    const high = maskedByte(bytes, 2 * group, bits);
    const low = maskedByte(bytes, 2 * group + 1, bits);
    text += high === 0 ? HEX[low] : `${HEX[high]}${HEX2[low]}`;
  }
  return text;
}

/** The longest run of two or more zero groups, leftmost on ties, as `start << 4 | length`; or 0. */
function longestZeroRun(bytes: Uint8Array, bits: number): number {
  let best = 0;
  let length = 0;
  for (let group = 0; group < 8; group += 1) {
    const isZero =
      maskedByte(bytes, 2 * group, bits) === 0 && maskedByte(bytes, 2 * group + 1, bits) === 0;
    length = isZero ? length + 1 : 0;
    if (length >= 2 && length > (best & 15)) best = ((group + 1 - length) << 4) | length;
  }
  return best;
}

/** The byte at `index` as it is under a mask of `bits` one bits. */
function maskedByte(bytes: Uint8Array, index: number, bits: number): number {
  const kept = bits - 8 * index;
  if (kept >= 8) return byteAt(bytes, index);
  return kept <= 0 ? 0 : byteAt(bytes, index) & (0xff00 >> kept) & 0xff;
}

/** Reads the groups of an IPv6 address, which may stand on both sides of a `::`. */
class GroupScanner {
  /** The number of bytes that the groups so far have filled. */
  used = 0;
  readonly #bytes = new Uint8Array(16);
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Read the groups between two places of the text; false when something else is there. */
  scan(from: number, to: number): boolean {
    for (let at = from; ; at += 1) {
      const end = hexEnd(this.#text, at);
      if (to === this.#text.length && this.#text.charCodeAt(end) === DOT) return this.#scanQuad(at);
      if (end === at || this.used === 16) return false;
      this.#append(hexValue(this.#text, at, end));
      if (end === to) return true;
      if (this.#text.charCodeAt(end) !== COLON) return false;
      at = end;
    }
  }

  /** The address whose `::`, if it has one, follows the first `head` bytes. */
  address(head: number | undefined): IpAddress | undefined {
    const bytes = this.#bytes;
    if (head === undefined) return this.used === 16 ? { family: 6, bytes } : undefined;
    if (this.used > 12) return undefined;
    const tail = 16 - this.used + head;
    bytes.copyWithin(tail, head, this.used);
    bytes.fill(0, head, tail);
    return { family: 6, bytes };
  }

  #append(group: number): void {
    this.#bytes[this.used] = group >> 8;
    this.#bytes[this.used + 1] = group & 0xff;
    this.used += 2;
  }

  #scanQuad(at: number): boolean {
    if (this.used > 12 || !scanIp4(this.#text, at, this.#bytes.subarray(this.used))) return false;
    this.used += 4;
    return true;
  }
}

/** Write the dotted quad that is the rest of `text` into the first four bytes; false if it is not one. */
function scanIp4(text: string, from: number, bytes: Uint8Array): boolean {
  let field = 0;
  let value = -1;
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (value < 0 || field === 3) return false;
      bytes[field] = value;
      field += 1;
      value = -1;
      continue;
    }
    if (code < ZERO || code > ZERO + 9) return false;
    value = Math.max(value, 0) * 10 + code - ZERO;
    if (value > 255) return false;
  }
  if (value < 0 || field !== 3) return false;
  bytes[3] = value;
  return true;
}

/** The end of the run of hexadecimal digits from `at`; it is cut after the fourth. */
function hexEnd(text: string, at: number): number {
  let end = at;
  while (end < at + 4 && hexDigit(text.charCodeAt(end)) >= 0) end += 1;
  return end;
}

function hexValue(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) value = (value << 4) | hexDigit(text.charCodeAt(at));
  return value;
}

/** The value of a hexadecimal digit of either case, -1 for any other character or past the end. */
function hexDigit(code: number): number {
  if (code >= ZERO && code <= ZERO + 9) return code - ZERO;
  const letter = (code | 0x20) - 0x61;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

function lowBytes(bytes: Uint8Array, from: number): number {
  return (byteAt(bytes, from) << 16) | (byteAt(bytes, from + 1) << 8) | byteAt(bytes, from + 2);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
