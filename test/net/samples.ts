/** Addresses for tests of this area. */

import fc from "fast-check";

import { ipFromBytes, parseIp } from "../../src/net/index.ts";

import type { Endpoint, IpAddress } from "../../src/net/index.ts";

/** Any address, with more zero bytes than chance would give. */
export const ips: fc.Arbitrary<IpAddress> = fc
  .constantFrom(4, 16)
  .chain((length) => {
    const byte = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(255));
    return fc.array(byte, { minLength: length, maxLength: length });
  })
  .map((bytes) => ipFromBytes(Uint8Array.from(bytes)));

/** The address that a test wrote down. */
export function mustParse(text: string): IpAddress {
  const ip = parseIp(text);
  if (ip === undefined) throw new TypeError(`Not an IP address: ${text}`);
  return ip;
}

export function endpoint(ip: string, port: number): Endpoint {
  return { address: mustParse(ip), port };
}
