/**
 * The keys that a check looks up, in the order in which it does (networking 8.1): for an address its
 * networks from the narrowest to 0 bits, for a name its suffixes, for a user the user, the group and
 * a default. The first key whose rule decides wins. Those of certificates are in
 * client-certificate.ts.
 */

import {
  addressBits,
  formatMaskedIp,
  formatPrefix,
  parsePrefix,
  withoutFinalDot,
} from "../../net/index.ts";
import { CLIENT_CERTIFICATE_KIND } from "./client-certificate.ts";
import type { IpAddress, IpPrefix } from "../../net/index.ts";
import type { Gid, Uid } from "../../posix/index.ts";

/** The first parts that a key can have; rules under any other name are never looked up. */
export const KEY_KINDS: readonly string[] = [
  "ip4",
  "ip6",
  "reversedns",
  "uid",
  "gid",
  CLIENT_CERTIFICATE_KIND,
];

/** The key that decides for every name. */
export const ANY_NAME_KEY = "reversedns/@";

/** A client of a Unix socket, and the effective ids of the server that checks it. */
export interface LocalPeer {
  readonly uid: Uid;
  readonly gid: Gid;
  readonly serverUid: Uid;
  readonly serverGid: Gid;
}

/** 33 or 129 keys: `ip4/192.168.13.7_32`, `ip4/192.168.13.6_31`, ... `ip4/0.0.0.0_0`. */
export function* ipKeys(ip: IpAddress): Generator<string, void> {
  for (let bits = addressBits(ip.family); bits >= 0; bits -= 1) {
    yield `ip${ip.family}/${formatMaskedIp(ip, bits)}_${bits}`;
  }
}

/** The key of one network, `ip6/2001:db8::_32`. */
export function prefixKey(prefix: IpPrefix): string {
  return `ip${prefix.address.family}/${formatPrefix(prefix, "_")}`;
}

/**
 * The network whose key this is; undefined for any other text, one that only looks like a network
 * but that no check asks for (leading zeros, stray bits, capitals) included.
 */
export function parsePrefixKey(key: string): IpPrefix | undefined {
  if (!key.startsWith("ip4/") && !key.startsWith("ip6/")) return undefined;
  const bar = key.lastIndexOf("_");
  if (bar < 0) return undefined;
  const prefix = parsePrefix(`${key.slice(4, bar)}/${key.slice(bar + 1)}`);
  return prefix !== undefined && prefixKey(prefix) === key ? prefix : undefined;
}

/**
 * The keys of a host name: of the name without the dot at its end, of each shorter suffix, and
 * `reversedns/@`. None for an empty name. Letters are taken as they are.
 */
export function* reverseDnsKeys(name: string): Generator<string, void> {
  let rest = withoutFinalDot(name);
  if (rest === "") return;
  while (rest !== "") {
    yield `reversedns/${rest}`;
    const dot = rest.indexOf(".");
    rest = dot < 0 ? "" : rest.slice(dot + 1);
  }
  yield ANY_NAME_KEY;
}

export function* uidGidKeys(peer: LocalPeer): Generator<string, void> {
  if (peer.uid === peer.serverUid) yield "uid/self";
  yield `uid/${peer.uid}`;
  if (peer.gid === peer.serverGid) yield "gid/self";
  yield `gid/${peer.gid}`;
  yield "uid/default";
}
