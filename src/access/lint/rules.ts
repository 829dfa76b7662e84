/**
 * Finds rules that are probably not meant as they are: that no client reaches, that change nothing, or
 * that mean something else where they are compiled. Works on rules from any backend; the faults of
 * directories and of files are in directory.ts and cdb.ts.
 */

import { encodeEdits } from "../../net/index.ts";
import { CLIENT_CERTIFICATE_KIND, NAME_BYTES_MAX } from "../lookup/client-certificate.ts";
import { parsePrefixKey, reverseDnsKeys } from "../lookup/keys.ts";
import { lintKey } from "./key.ts";
import { NetworkList, NOBODY, PrefixRuns } from "../lookup/prefix-runs.ts";

import type { Finding } from "./finding.ts";
import type { RuleResult } from "../lookup/rules.ts";

/** A rule as the linter wants it. */
export interface LintRule {
  readonly key: string;
  readonly result: RuleResult;
}

const NAME_PREFIX = "reversedns/";

/** Said once, however many there are. */
const OURS_ALONE: Finding = {
  severity: "note",
  key: CLIENT_CERTIFICATE_KIND,
  code: "extension",
  message:
    "is ours alone: servers of the C suite ignore these rules and admit whom the others allow",
};

/** The findings of these rules, each key at most once among them. */
export function lintRules(rules: readonly LintRule[]): Finding[] {
  const findings: Finding[] = [];
  for (const { key, result } of rules) {
    const finding = lintKey(key);
    if (finding !== undefined) findings.push(finding);
    if (result.kind === "notFound") findings.push(empty(key));
    if (result.kind === "error") findings.push(invalid(key, result.why));
  }
  const decided = [4, 6].map((family) => lintNetworks(family === 4 ? 4 : 6, rules, findings));
  lintNames(rules, decided, findings);
  if (rules.some(({ key }) => key.startsWith(`${CLIENT_CERTIFICATE_KIND}/`))) {
    findings.push(OURS_ALONE);
  }
  return findings;
}

/** Networks that narrower ones leave nothing of, or that say what wider ones say. */
function lintNetworks(family: 4 | 6, rules: readonly LintRule[], findings: Finding[]): boolean {
  const networks = networksOf(family, rules);
  const runs = new PrefixRuns(networks);
  const deciding = new Set(runs.owners.subarray(0, runs.count));
  for (let number = 0; number < networks.count; number += 1) {
    const owner = networks.owners[number] ?? NOBODY;
    const rule = rules[owner];
    const around = rules[networks.owners[runs.parents[number] ?? -1] ?? NOBODY];
    if (rule === undefined) continue;
    if (!deciding.has(owner)) {
      findings.push(shadowed(rule.key, "narrower networks decide all its addresses"));
    } else if (around !== undefined && isSameResult(rule.result, around.result)) {
      findings.push(redundant(rule.key, around.key));
    }
  }
  const startsAtZero = runs.starts.subarray(0, runs.width).every((word) => word === 0);
  return runs.count > 0 && startsAtZero && !deciding.has(NOBODY);
}

function networksOf(family: 4 | 6, rules: readonly LintRule[]): NetworkList {
  const networks = new NetworkList(family);
  for (const [owner, { key, result }] of rules.entries()) {
    const prefix = result.kind === "notFound" ? undefined : parsePrefixKey(key);
    if (prefix?.address.family === family) networks.add(prefix, owner);
  }
  return networks;
}

/** Names that addresses never leave a turn to, or that say what shorter suffixes say. */
function lintNames(
  rules: readonly LintRule[],
  [everyIp4 = false, everyIp6 = false]: readonly boolean[],
  findings: Finding[],
): void {
  const byKey = new Map(rules.map((rule) => [rule.key, rule]));
  for (const { key, result } of rules) {
    if (!isNameKey(key) || result.kind === "notFound") continue;
    if (everyIp4 && everyIp6) {
      findings.push(shadowed(key, "networks decide every address, so no name is looked up"));
    } else if (everyIp4 || everyIp6) {
      const family = everyIp4 ? "IPv4" : "IPv6";
      findings.push({
        ...shadowed(key, `networks decide every ${family} address, so it counts for the others`),
        severity: "note",
      });
    } else {
      const wider = nextDecisive(key, byKey);
      if (wider !== undefined && isSameResult(result, wider.result)) {
        findings.push(redundant(key, wider.key));
      }
    }
  }
}

/** The key of a name that can be looked up; a longer one may have too many suffixes to go through. */
function isNameKey(key: string): boolean {
  return key.startsWith(NAME_PREFIX) && key.length <= NAME_PREFIX.length + NAME_BYTES_MAX;
}

/** The rule that would decide were this one not there. */
function nextDecisive(key: string, byKey: ReadonlyMap<string, LintRule>): LintRule | undefined {
  for (const suffix of reverseDnsKeys(key.slice(NAME_PREFIX.length))) {
    const rule = suffix === key ? undefined : byKey.get(suffix);
    if (rule !== undefined && rule.result.kind !== "notFound") return rule;
  }
  return undefined;
}

function isSameResult(a: RuleResult, b: RuleResult): boolean {
  if (a.kind !== "allow" || b.kind !== "allow") return a.kind === b.kind && a.kind === "deny";
  const [edits, otherEdits] = [encodeEdits(a.edits), encodeEdits(b.edits)];
  const none = new Uint8Array(0);
  return edits.equals(otherEdits) && Buffer.compare(a.exec ?? none, b.exec ?? none) === 0;
}

function empty(key: string): Finding {
  const message = "neither allows nor denies, as if it were not there";
  return { severity: "warning", key, code: "empty", message };
}

function invalid(key: string, why: string): Finding {
  return { severity: "error", key, code: "invalid", message: `cannot be used: ${why}` };
}

function shadowed(key: string, why: string): Finding {
  return { severity: "warning", key, code: "shadowed", message: `never decides: ${why}` };
}

function redundant(key: string, wider: string): Finding {
  return { severity: "note", key, code: "redundant", message: `is the same as ${wider}` };
}
