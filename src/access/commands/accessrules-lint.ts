/** s6-accessrules-lint: what is probably not meant in a set of rules. */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, orFatal } from "../../command/index.ts";
import { flag, fold, UsageError } from "../../options/index.ts";
import { explainFailure, lintCdb, lintDirectory, readCdbFile } from "../index.ts";

import type { Posix } from "../../posix/index.ts";
import type { Finding } from "../index.ts";

interface Source {
  readonly kind: "directory" | "cdb";
  readonly path: string;
}

/** S_IFMT and S_IFDIR of stat(2). */
const FILE_TYPE = 0o170000;
const DIRECTORY = 0o040000;

export const accessrulesLint = defineCommand({
  name: "s6-accessrules-lint",
  summary: "find access rules that do not do what they seem to",
  family: "long",
  options: {
    source: fold<Source | undefined>(undefined, [
      {
        short: "i",
        argument: "dir",
        help: "look at the rules in this directory",
        ours: true,
        next: (_, path) => ({ kind: "directory", path }),
      },
      {
        short: "x",
        argument: "cdb",
        help: "look at the rules in this CDB file",
        ours: true,
        next: (_, path) => ({ kind: "cdb", path }),
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
      (error) => explainFailure(posix, `read ${chosen.path}`, error),
      () => lint(posix, chosen),
    );
    context.print(
      json ? `${JSON.stringify(findings, undefined, 2)}\n` : findings.map(line).join(""),
    );
    return findings.some(({ severity }) => severity !== "note") ? EXIT.refused : EXIT.ok;
  },
});

function lint(posix: Posix, { kind, path }: Source): Finding[] {
  return kind === "directory" ? lintDirectory(posix, path) : lintCdb(readCdbFile(posix, path));
}

function sourceAt(posix: Posix, path: string): Source {
  const version = posix.fileVersion(path);
  const isDirectory = typeof version !== "string" && (version.mode & FILE_TYPE) === DIRECTORY;
  return { kind: isDirectory ? "directory" : "cdb", path };
}

function line({ severity, key, code, message }: Finding): string {
  return `${severity}: ${key} ${message} [${code}]\n`;
}
