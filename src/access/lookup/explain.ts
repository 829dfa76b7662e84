/** Explains the outcome of a check: every key that was looked up, with its result. */

import { ProbedRules } from "./rules.ts";

import type { IpAddress } from "../../net/index.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import type { LocalPeer } from "./keys.ts";
import type { CertificateRules, RuleResult, Rules } from "./rules.ts";

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
  return probesOf(rules, (recorder) => recorder.checkIp(ip));
}

/** The same for a host name. */
export function explainReverseDns(rules: Rules, name: string): Probe[] {
  return probesOf(rules, (recorder) => recorder.checkReverseDns(name));
}

/** The same for a client of a Unix socket. */
export function explainUidGid(rules: Rules, peer: LocalPeer): Probe[] {
  return probesOf(rules, (recorder) => recorder.checkUidGid(peer));
}

/**
 * The same for a client of TLS. Behind an alternative name that allows the others follow: what
 * decided is the last key if it refuses, else the first that allows.
 */
export function explainClientCertificate(
  rules: Rules,
  certificate: ClientCertificate | undefined,
): Probe[] {
  return probesOf(rules, (recorder) => recorder.checkClientCertificate(certificate));
}

function probesOf(rules: Rules, check: (recorder: CertificateRules) => unknown): Probe[] {
  const recorder = new Recorder(rules);
  check(recorder);
  return recorder.probes;
}

/** Answers as other rules do, one key at a time, and keeps what was asked. */
class Recorder extends ProbedRules {
  readonly probes: Probe[] = [];
  readonly #rules: Rules;

  constructor(rules: Rules) {
    super();
    this.#rules = rules;
  }

  override probe(key: string): RuleResult {
    const result = this.#rules.probe(key);
    this.probes.push({ key, result });
    return result;
  }
}
