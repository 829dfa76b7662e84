/** Linting a CDB file of rules. */

import { decodeBytes } from "../../posix/index.ts";
import { ruleResult } from "../cdb/rule-set.ts";
import { Cdb } from "../cdb/cdb.ts";
import { lintRules } from "./rules.ts";
import { RULE_EXEC_BYTES_MAX } from "../lookup/rule-value.ts";

import type { Finding } from "./finding.ts";
import type { LintRule } from "./rules.ts";

/** The findings of the rules in a database. Throws CdbError for a damaged one. */
export function lintCdb(bytes: Uint8Array): Finding[] {
  const cdb = new Cdb(bytes);
  cdb.verify();
  const overridden = cdb.overridden();
  const rules: LintRule[] = [];
  const findings: Finding[] = [];
  for (const record of cdb.entries()) {
    const key = decodeBytes(record.key);
    const deciding = overridden.get(record.position);
    if (deciding !== undefined) {
      const { value } = cdb.recordAt(deciding);
      findings.push(duplicate(key, Buffer.compare(value, record.value) === 0));
      continue;
    }
    const result = ruleResult(record.value);
    rules.push({ key, result });
    if (result.kind === "allow" && result.exec?.length === RULE_EXEC_BYTES_MAX) {
      findings.push(execCut(key));
    }
  }
  return findings.concat(lintRules(rules));
}

function duplicate(key: string, isSame: boolean): Finding {
  const message = isSame
    ? "is there twice, saying the same"
    : "is a duplicate, and an earlier record that differs decides";
  return { severity: isSame ? "note" : "warning", key, code: "duplicate", message };
}

function execCut(key: string): Finding {
  const message = `has a script of ${RULE_EXEC_BYTES_MAX} bytes, which may have been cut off`;
  return { severity: "warning", key, code: "exec-cut", message };
}
