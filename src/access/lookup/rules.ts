/**
 * Access rules: the answers of a set of rules, in whatever form it is stored. A caller refuses the client on
 * everything but "allow": where no rule matches, and where a rule cannot be read, it is not admitted.
 */

import {
  alternativeNameKeys,
  ANY_CERTIFICATE_KEY,
  certificateKey,
  NO_CERTIFICATE_KEY,
} from "./client-certificate.ts";
import { ipKeys, reverseDnsKeys, uidGidKeys } from "./keys.ts";

import { ALTERNATIVE_NAMES_BYTES_MAX, areFewAlternativeNames } from "../../net/index.ts";
import type { EnvironmentEdit, IpAddress } from "../../net/index.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import type { LocalPeer } from "./keys.ts";

/** The client is allowed: with these variables, and with this script in place of the program. */
export interface Allowed {
  readonly kind: "allow";
  readonly edits: readonly EnvironmentEdit[];
  /** 1 to 4096 bytes; undefined where the rule has no script. */
  readonly exec: Uint8Array | undefined;
}

/** The client is denied. */
export interface Denied {
  readonly kind: "deny";
  /** The failure because of which the rule denies, where that is why it does. */
  readonly fault?: Failed;
}

/** The rules cannot be used. `code` is the errno name where a system call failed. */
export interface Failed {
  readonly kind: "error";
  readonly why: string;
  readonly code: string | undefined;
}

/** The result of looking up one key. */
export type RuleResult = Allowed | Denied | { readonly kind: "notFound" } | Failed;

/** The answer of all rules together; `rule` is the key that decided, `ip4/10.0.0.0_8`. */
export type Verdict =
  | (Allowed & { readonly rule: string })
  | (Denied & { readonly rule: string })
  | { readonly kind: "notFound" }
  /** No rule where the whole set is at fault. */
  | (Failed & { readonly rule: string | undefined });

/** A set of rules. No method throws: what goes wrong is a verdict. */
export interface Rules {
  /** Look up this one key. */
  probe(key: string): RuleResult;
  /** IPv4-mapped addresses are IPv6 addresses here; see unmapIp for the other reading. */
  checkIp(ip: IpAddress): Verdict;
  /** One dot at the end of the name is ignored; an empty name is an error. */
  checkReverseDns(name: string): Verdict;
  checkUidGid(peer: LocalPeer): Verdict;
}

/** A set of rules that knows clients of TLS too; apart, as who checks addresses need not answer this. */
export interface CertificateRules extends Rules {
  /**
   * Ask after the handshake, with undefined for a client whose certificate is absent or not verified.
   * Names that are not known, or are longer than ALTERNATIVE_NAMES_BYTES_MAX, are an error unless the
   * fingerprint decides: every other rule has to wait for what those about names say.
   */
  checkClientCertificate(certificate: ClientCertificate | undefined): Verdict;
}

export const NOT_FOUND = { kind: "notFound" } as const;
export const DENIED: Denied = { kind: "deny" };
const EMPTY_NAME: Verdict = failedAt("the host name is empty", "EINVAL", undefined);
const NO_FINGERPRINT = failedAt("the certificate has no SHA-256 fingerprint", "EINVAL", undefined);
const UNKNOWN_NAMES: Verdict = {
  ...failed(
    `its alternative names cannot be read, or are longer than ${ALTERNATIVE_NAMES_BYTES_MAX} bytes`,
  ),
  rule: undefined,
};
const TOO_MANY_NAMES: Verdict = {
  ...failed(`its alternative names are longer than ${ALTERNATIVE_NAMES_BYTES_MAX} bytes`),
  rule: undefined,
};

/** Rules that answer key by key; what decides is the first key with an answer. */
export abstract class ProbedRules implements CertificateRules {
  abstract probe(key: string): RuleResult;

  checkIp(ip: IpAddress): Verdict {
    return this.firstDecisive(ipKeys(ip));
  }

  checkReverseDns(name: string): Verdict {
    if (name === "" || name === ".") return EMPTY_NAME;
    return this.firstDecisive(reverseDnsKeys(name));
  }

  checkUidGid(peer: LocalPeer): Verdict {
    return this.firstDecisive(uidGidKeys(peer));
  }

  checkClientCertificate(certificate: ClientCertificate | undefined): Verdict {
    if (certificate === undefined) return this.firstDecisive([NO_CERTIFICATE_KEY]);
    const { sha256, alternativeNames, subject = "" } = certificate;
    const fingerprintKey = certificateKey({ kind: "sha256", value: sha256 });
    if (fingerprintKey === undefined) return NO_FINGERPRINT;
    const byFingerprint = this.firstDecisive([fingerprintKey]);
    if (byFingerprint.kind !== "notFound") return byFingerprint;
    if (alternativeNames === undefined) return UNKNOWN_NAMES;
    if (!areFewAlternativeNames(alternativeNames)) return TOO_MANY_NAMES;
    const byName = this.#strictest(alternativeNameKeys(alternativeNames));
    if (byName.kind !== "notFound") return byName;
    const subjectKey = certificateKey({ kind: "subject", value: subject });
    const rest = [subjectKey, ANY_CERTIFICATE_KEY];
    return this.firstDecisive(rest.filter((key) => key !== undefined));
  }

  protected firstDecisive(keys: Iterable<string>): Verdict {
    for (const rule of keys) {
      const result = this.probe(rule);
      if (result.kind !== "notFound") return { ...result, rule };
    }
    return NOT_FOUND;
  }

  /**
   * The verdict of keys of equal rank: none of them is narrower than another, and their order is that of
   * the owner of the certificate. So one that refuses wins, then the first that allows.
   */
  #strictest(keys: Iterable<string>): Verdict {
    let allowed: Verdict = NOT_FOUND;
    for (const rule of keys) {
      const result = this.probe(rule);
      if (result.kind === "deny" || result.kind === "error") return { ...result, rule };
      if (result.kind === "allow" && allowed.kind !== "allow") allowed = { ...result, rule };
    }
    return allowed;
  }
}

export function failed(why: string, code?: string): Failed {
  return { kind: "error", why, code };
}

function failedAt(why: string, code: string, rule: string | undefined): Verdict {
  return { kind: "error", why, code, rule };
}
