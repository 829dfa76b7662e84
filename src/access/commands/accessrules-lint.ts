/** s6-accessrules-lint: what is probably not meant in a set of rules. */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, orFatal } from "../../command/index.ts";
import { flag, pathOfKind, UsageError } from "../../options/index.ts";
import { explainFailure, lintCdb, lintDirectory, readCdbFile, rulesPath } from "../index.ts";

import type { Posix } from "../../posix/index.ts";
import type { Finding, RulesSource } from "../index.ts";

/** S_IFMT and S_IFDIR of stat(2). */
const FILE_TYPE = 0o170000;
const DIRECTORY = 0o040000;

export const accessrulesLint = defineCommand({
  name: "s6-accessrules-lint",
  summary: "find access rules that do not do what they seem to",
  family: "long",
  options: {
    source: pathOfKind([
      {
        short: "i",
        argument: "dir",
        help: "examine the rules in this directory",
        ours: true,
        kind: "directory",
      },
      {
        short: "x",
        argument: "cdb",
        help: "examine the rules in this CDB file",
        ours: true,
        kind: "cdb",
      },
    ]),
    json: flag({ long: "json", help: "print the findings as one JSON array", ours: true }),
  },
  operands: "[dir|cdb]",
  operandCount: [0, 1],
  run(context, { source, json }, [path]) {
    const { posix } = context;
    const chosen = path === undefined ? source : sourceAt(posix, path);
    if (chosen === undefined) throw new UsageError("missing operand: dir or cdb", true);
    const findings = orFatal(
      (error) => explainFailure(posix, `read ${rulesPath(chosen)}`, error),
      () => lint(posix, chosen),
    );
    context.print(
      json ? `${JSON.stringify(findings, undefined, 2)}\n` : findings.map(line).join(""),
    );
    return findings.some(({ severity }) => severity !== "note") ? EXIT.refused : EXIT.ok;
  },
});

function lint(posix: Posix, rules: RulesSource): Finding[] {
  return "cdb" in rules
    ? lintCdb(readCdbFile(posix, rules.cdb))
    : lintDirectory(posix, rules.directory);
}

function sourceAt(posix: Posix, path: string): RulesSource {
  const version = posix.fileVersion(path);
  const isDirectory = typeof version !== "string" && (version.mode & FILE_TYPE) === DIRECTORY;
  return isDirectory ? { directory: path } : { cdb: path };
}

function line({ severity, key, code, message }: Finding): string {
  return `${severity}: ${key} ${message} [${code}]\n`;
}
