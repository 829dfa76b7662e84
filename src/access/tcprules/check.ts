/** The answer of compiled rules of either format about a client (networking 10.5, 8.1). */

import { parseEdit, parseIp } from "../../net/index.ts";
import { encodeBytes, splitBlock } from "../../posix/index.ts";
import { CdbRuleSet } from "../cdb/rule-set.ts";
import { KEY_KINDS } from "../lookup/keys.ts";
import { failed } from "../lookup/rules.ts";

import type { AlternativeName, EnvironmentEdit } from "../../net/index.ts";
import type { Cdb } from "../cdb/cdb.ts";
import type { CertificateFact, ClientCertificate } from "../lookup/client-certificate.ts";
import type { RulesFormat } from "./compile.ts";
import type { Verdict } from "../lookup/rules.ts";

/** A client as TCPREMOTEIP, TCPREMOTEHOST and TCPREMOTEINFO describe it. */
export interface RemoteClient {
  readonly ip: string;
  readonly host: string | undefined;
  readonly info: string | undefined;
}

/** The answer of rules of ucspi-tcp; they always have one. */
export interface DjbVerdict {
  readonly allow: boolean;
  /** The key of the rule that decided; undefined when none did, which allows. */
  readonly rule: string | undefined;
  readonly edits: readonly EnvironmentEdit[];
}

const KEY_PREFIXES = KEY_KINDS.map((kind) => Buffer.from(`${kind}/`));
const LETTER_D = "D";
const PLUS = "+";

/**
 * Which format a database is in, by its first record: s6 if the key begins as a key of s6 does. One
 * without records is s6, which denies what it does not know.
 */
export function detectRulesFormat(cdb: Cdb): RulesFormat {
  for (const { key } of cdb.entries()) {
    const isS6 = KEY_PREFIXES.some((prefix) => prefix.equals(key.subarray(0, prefix.length)));
    return isS6 ? "s6" : "djb";
  }
  return "s6";
}

/** Look a client up as tcpserver does. Throws CdbError where the file is damaged. */
export function checkDjbRules(cdb: Cdb, client: RemoteClient): DjbVerdict {
  for (const rule of djbKeys(client)) {
    const value = cdb.find(encodeBytes(rule));
    if (value === undefined) continue;
    const items = splitBlock(value);
    const edits = items.filter((item) => item.startsWith(PLUS)).map((item) => item.slice(1));
    const allow = !items.some((item) => item.startsWith(LETTER_D));
    return { allow, rule, edits: edits.map(parseEdit) };
  }
  return { allow: true, rule: undefined, edits: [] };
}

/** Look a client up as s6-tcpserver-access does: addresses, then names. Throws CdbError. */
export function checkS6Rules(bytes: Uint8Array, client: RemoteClient): Verdict {
  const rules = new CdbRuleSet(bytes);
  const ip = parseIp(client.ip);
  if (ip === undefined) {
    return { ...failed(`not an IP address: ${client.ip}`, "EINVAL"), rule: undefined };
  }
  const verdict = rules.checkIp(ip);
  if (verdict.kind !== "notFound" || client.host === undefined) return verdict;
  return rules.checkReverseDns(client.host);
}

/**
 * A certificate of which this much is known. Of several fingerprints or subjects the last one counts;
 * without a fingerprint it is one of zeros, which no certificate has.
 */
export function certificateOf(facts: readonly CertificateFact[]): ClientCertificate {
  const last = (kind: CertificateFact["kind"]) => facts.findLast((fact) => fact.kind === kind);
  return {
    sha256: last("sha256")?.value ?? "0".repeat(64),
    alternativeNames: facts.filter(isAlternativeName),
    subject: last("subject")?.value,
  };
}

function isAlternativeName(fact: CertificateFact): fact is AlternativeName {
  return fact.kind !== "sha256" && fact.kind !== "subject";
}

function* djbKeys({ ip, host, info }: RemoteClient): Generator<string, void> {
  if (info !== undefined) {
    yield `${info}@${ip}`;
    if (host !== undefined) yield `${info}@=${host}`;
  }
  yield ip;
  if (host !== undefined) yield `=${host}`;
  for (let dot = ip.lastIndexOf("."); dot >= 0; dot = dot && ip.lastIndexOf(".", dot - 1)) {
    yield ip.slice(0, dot + 1);
    if (dot === 0) break;
  }
  if (host !== undefined) {
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      yield `=${host.slice(dot)}`;
    }
    yield "=";
  }
  yield "";
}
