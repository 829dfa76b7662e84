/**
 * Prefixes of IP addresses (CIDR blocks): the text that users type, `10.0.0.0/8`, and the forms that
 * keys of access rules have, `10.0.0.0_8` (networking 8.1).
 */

import { formatMaskedIp, isSameIp, maskIp, parseIp } from "./address.ts";
import { parseUnsigned } from "./numbers.ts";

import type { IpAddress } from "./address.ts";

/** A block of addresses: those whose first `bits` bits are the ones of `address`. */
export interface IpPrefix {
  /** Its bits past the prefix are zero. */
  readonly address: IpAddress;
  /** 0 to 32, or 0 to 128. */
  readonly bits: number;
}

/** The length of an address of this family: 32 or 128. */
export function addressBits(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/**
 * `ADDRESS/BITS`, or an address alone for the block of just that one. Bits of the address past the
 * prefix are cleared, so `10.1.2.3/8` is `10.0.0.0/8`; `isExactPrefix` tells those who mind.
 */
export function parsePrefix(text: string): IpPrefix | undefined {
  const parts = splitPrefix(text);
  return parts && { address: maskIp(parts.address, parts.bits), bits: parts.bits };
}

/** Is this text a prefix without stray bits? False for `10.1.2.3/8`, a likely slip of the hand. */
export function isExactPrefix(text: string): boolean {
  const parts = splitPrefix(text);
  return parts !== undefined && isSameIp(parts.address, maskIp(parts.address, parts.bits));
}

/** The canonical text; `separator` is `/`, or `_` in the keys of access rules. */
export function formatPrefix(prefix: IpPrefix, separator: "/" | "_" = "/"): string {
  return formatMaskedIp(prefix.address, prefix.bits) + separator + String(prefix.bits);
}

/** Does the block contain this address? Never when the families differ. */
export function isInPrefix(ip: IpAddress, prefix: IpPrefix): boolean {
  if (ip.family !== prefix.address.family) return false;
  return isSameIp(maskIp(ip, prefix.bits), maskIp(prefix.address, prefix.bits));
}

/** The address as it was typed, and the length. */
function splitPrefix(text: string): IpPrefix | undefined {
  const slash = text.indexOf("/");
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const most = addressBits(address.family);
  const bits = slash < 0 ? most : parseUnsigned(text.slice(slash + 1), most);
  return bits === undefined ? undefined : { address, bits };
}
