/** The source of a connection: by what its handshake is counted, in a queue and in the log. */

import type { Environment } from "../../chain/index.ts";
import {
  formatIp,
  formatPrefix,
  maskIp,
  parseIp,
  PROTO,
  ucspiNames,
  unmapIp,
} from "../../net/index.ts";
import type { IpAddress } from "../../net/index.ts";

/** A host has a network of so many bits to itself (RFC 4291, section 2.5.4), so it is one source. */
const IP6_SOURCE_BITS = 64;

const UID = /^\d{1,10}$/;

/** Connections that nothing is known of are one source. */
const UNKNOWN = "unknown";

/**
 * The source of a connection whose UCSPI variables are these: the IPv4 address of its client, the /64 of its
 * IPv6 address, or the user of a client on this machine. These are the variables that access rules look at, so
 * behind a proxy that is trusted it is the client that counts.
 */
export function sourceOf(environment: Environment): string {
  const protocol = environment.get(PROTO) ?? "";
  const address = parseIp(environment.get(ucspiNames(protocol).remoteIp) ?? "");
  if (address !== undefined) return sourceOfIp(address);
  const uid = environment.get(`${protocol}REMOTEEUID`) ?? "";
  return UID.test(uid) ? `uid ${uid}` : UNKNOWN;
}

export function sourceOfIp(ip: IpAddress): string {
  const address = unmapIp(ip);
  if (address.family === 4) return formatIp(address);
  return formatPrefix({ address: maskIp(address, IP6_SOURCE_BITS), bits: IP6_SOURCE_BITS });
}
