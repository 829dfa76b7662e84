/** The networks that may send a header: those of one's own proxies. */

import { isExactPrefix, isInPrefix, parsePrefix, unmapIp } from "../net/index.ts";
import type { IpAddress, IpPrefix } from "../net/index.ts";

/**
 * Networks and addresses separated by commas, `192.0.2.0/24,2001:db8::1`. Undefined when one is none, or
 * has bits behind its prefix (`192.0.2.7/24`): what is meant must be beyond doubt.
 */
export function parseNetworks(text: string): readonly IpPrefix[] | undefined {
  const words = text.split(",");
  const networks = words.flatMap((word) => (isExactPrefix(word) ? (parsePrefix(word) ?? []) : []));
  return networks.length === words.length ? networks : undefined;
}

/** Is the address in one of the networks? A mapped IPv6 address is also the IPv4 address it holds. */
export function isTrusted(ip: IpAddress, networks: readonly IpPrefix[]): boolean {
  const plain = unmapIp(ip);
  return networks.some((network) => isInPrefix(ip, network) || isInPrefix(plain, network));
}
