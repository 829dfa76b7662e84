/** Opening rules, wherever they are kept. */

import { CdbRules } from "../cdb/rules.ts";
import { DirectoryRules } from "../directory/rules.ts";

import type { Posix } from "../../posix/index.ts";
import type { CertificateRules, Rules } from "../lookup/rules.ts";

/** Rules by where they are kept: the path of a directory or of a CDB file. */
export type RulesSource = { readonly directory: string } | { readonly cdb: string };

/**
 * Rules from a directory, a CDB file, or any other implementation, which is taken as it is. Nothing is
 * read before the first check, so this cannot fail. CDB rules remember the file, so a caller that checks more
 * than one client opens them once and keeps them.
 */
export function openRules(rules: RulesSource, posix: Posix): CertificateRules;
export function openRules<Other extends Rules>(
  rules: RulesSource | Other,
  posix: Posix,
): CertificateRules | Other;
export function openRules(rules: RulesSource | Rules, posix: Posix): Rules {
  if ("directory" in rules) return new DirectoryRules(posix, rules.directory);
  return "cdb" in rules ? new CdbRules(posix, rules.cdb) : rules;
}

/** The path, for messages. */
export function rulesPath(source: RulesSource): string {
  return "directory" in source ? source.directory : source.cdb;
}
