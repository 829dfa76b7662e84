/** Why a check ends as it does: every key that was looked up, and what each of them said. */

import { ipKeys, reverseDnsKeys, uidGidKeys } from "./keys.ts";

import type { IpAddress } from "../net/index.ts";
import type { LocalPeer } from "./keys.ts";
import type { RuleResult, Rules } from "./rules.ts";

/** One key that was looked up. */
export interface Probe {
  readonly key: string;
  readonly result: RuleResult;
}

/**
 * The keys looked up for an address, the last of them being the one that decided. When all of them
 * are "notFound" nothing did.
 */
export function explainIp(rules: Rules, ip: IpAddress): Probe[] {
  return probesUntilDecided(rules, ipKeys(ip));
}

/** The same for a host name. */
export function explainReverseDns(rules: Rules, name: string): Probe[] {
  return probesUntilDecided(rules, reverseDnsKeys(name));
}

/** The same for a client of a Unix socket. */
export function explainUidGid(rules: Rules, peer: LocalPeer): Probe[] {
  return probesUntilDecided(rules, uidGidKeys(peer));
}

function probesUntilDecided(rules: Rules, keys: Iterable<string>): Probe[] {
  const probes: Probe[] = [];
  for (const key of keys) {
    const result = rules.probe(key);
    probes.push({ key, result });
    if (result.kind !== "notFound") break;
  }
  return probes;
}
