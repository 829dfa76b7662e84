/** Linting a directory of rules. */

import { encodeEdits } from "../../net/index.ts";
import { DirectoryRules } from "../directory/rules.ts";
import { lintRules } from "./rules.ts";
import { attempt } from "../lookup/problem.ts";
import { listNames } from "../../posix/index.ts";
import { isOfType, RULES_ENTRIES_MAX } from "../lookup/kernel.ts";
import { KEY_KINDS } from "../lookup/keys.ts";
import { RULE_ENVIRONMENT_BYTES_MAX, RULE_EXEC_BYTES_MAX } from "../lookup/rule-value.ts";

import type { RulesPosix } from "../lookup/kernel.ts";
import type { Failed } from "../lookup/rules.ts";
import type { Finding } from "./finding.ts";
import type { LintRule } from "./rules.ts";

/** Rules of any kind may have this name. */
const ANY_NAME = "@";

/** The findings of the rules below `directory`. Throws RulesProblem when it cannot be read. */
export function lintDirectory(posix: RulesPosix, directory: string): Finding[] {
  const rules: LintRule[] = [];
  const findings: Finding[] = [];
  const backend = new DirectoryRules(posix, directory);
  for (const key of keysIn(posix, directory, findings)) {
    const result = backend.probe(key);
    rules.push({ key, result });
    if (result.kind === "deny" && result.fault !== undefined) {
      findings.push(unreadable(key, result.fault));
    }
    findings.push(...lintFiles(posix, directory, key));
  }
  for (const { key, code } of [...findings]) {
    if (code === "stray") findings.push(...lintStray(backend, key));
  }
  return findings.concat(lintSizes(rules), lintRules(rules));
}

function keysIn(posix: RulesPosix, directory: string, findings: Finding[]): string[] {
  const keys: string[] = [];
  for (const kind of directoriesIn(posix, directory, "", findings)) {
    for (const name of directoriesIn(posix, directory, `${kind}/`, findings)) {
      keys.push(`${kind}/${name}`);
    }
  }
  return keys;
}

function directoriesIn(
  posix: RulesPosix,
  root: string,
  below: string,
  findings: Finding[],
): string[] {
  const path = `${root}/${below}`;
  const names = attempt(`read the directory ${path}`, () =>
    listNames(posix, path, RULES_ENTRIES_MAX),
  ).sort();
  return names.filter((name) => {
    if (name.startsWith(".")) return false;
    if (isOfType(posix.fileVersion(`${path}${name}`), "directory")) return true;
    findings.push(stray(`${below}${name}`));
    return false;
  });
}

/** What is in the place of a rule, or of all rules of a kind, denies as long as it is there. */
function lintStray(backend: DirectoryRules, key: string): Finding[] {
  const isKind = KEY_KINDS.includes(key);
  if (!isKind && !key.includes("/")) return [];
  const result = backend.probe(isKind ? `${key}/${ANY_NAME}` : key);
  if (result.kind !== "deny" || result.fault === undefined) return [];
  return [unreadable(key, result.fault)];
}

function lintFiles(posix: RulesPosix, directory: string, key: string): Finding[] {
  const findings: Finding[] = [];
  const path = `${directory}/${key}`;
  const [hasAllow, hasDeny] = ["allow", "deny"].map(
    (file) => typeof posix.fileVersion(`${path}/${file}`) !== "string",
  );
  if (hasAllow && hasDeny) findings.push(both(key));
  const exec = posix.fileVersion(`${path}/exec`);
  if (typeof exec !== "string" && isOfType(exec, "file") && exec.sizeBytes >= RULE_EXEC_BYTES_MAX) {
    findings.push(execCut(key));
  }
  return findings;
}

function lintSizes(rules: readonly LintRule[]): Finding[] {
  return rules.flatMap(({ key, result }) => {
    if (result.kind !== "allow") return [];
    const bytes = encodeEdits(result.edits).length;
    return bytes > RULE_ENVIRONMENT_BYTES_MAX ? [tooBig(key, bytes)] : [];
  });
}

function stray(key: string): Finding {
  const message = "is not a directory, so the rules cannot be compiled";
  return { severity: "error", key, code: "stray", message };
}

function both(key: string): Finding {
  const message = "has both allow and deny: it allows";
  return { severity: "warning", key, code: "both", message };
}

function unreadable(key: string, { why, code }: Failed): Finding {
  const reason = code === undefined ? why : `${why} (${code})`;
  const message = `denies, because a part of it cannot be read by us: ${reason}`;
  return { severity: "warning", key, code: "unreadable", message };
}

function execCut(key: string): Finding {
  const message = `has a script of ${RULE_EXEC_BYTES_MAX} bytes or more: the rest is cut off`;
  return { severity: "warning", key, code: "exec-cut", message };
}

function tooBig(key: string, bytes: number): Finding {
  const message = `sets ${bytes} bytes of variables: it cannot be compiled, ${RULE_ENVIRONMENT_BYTES_MAX} is the most`;
  return { severity: "error", key, code: "environment-too-big", message };
}
