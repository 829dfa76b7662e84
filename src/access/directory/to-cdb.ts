/** Compiling a directory of rules to a CDB file (networking 8.4, local-services 7.6). */

import { encodeEdits } from "../../net/index.ts";
import { encodeBytes, listNames, readHead } from "../../posix/index.ts";
import { replaceCdbFile } from "../cdb/replace-file.ts";
import { CdbWriter } from "../cdb/writer.ts";
import { readEnvironmentDirectory } from "./environment.ts";
import { attempt, RulesProblem } from "../lookup/problem.ts";
import { isOfType, RULES_ENTRIES_MAX } from "../lookup/kernel.ts";
import {
  DENY_VALUE,
  formatAllow,
  RULE_ENVIRONMENT_BYTES_MAX,
  RULE_EXEC_BYTES_MAX,
} from "../lookup/rule-value.ts";

import type { Posix, ReplacingPosix } from "../../posix/index.ts";
import type { RulesPosix } from "../lookup/kernel.ts";

export interface CompileOptions {
  readonly posix: RulesPosix & ReplacingPosix & Pick<Posix, "strerror">;
  /** Permission bits of the result; 0600 when there are none, whatever the umask. */
  readonly mode?: number | undefined;
  /**
   * Take names in byte order instead of readdir order, so that equal rules make equal files on any
   * file system. Without it the file is the one that the C compiler makes of this directory.
   */
  readonly sort?: boolean;
  /** Told of what compiles but may not be meant. */
  readonly warn: (message: string) => void;
}

/** Part of the name of the temporary file, as in the C suite. */
const TEMPORARY_TAG = "s6-accessrules-cdb-from-fs";

/** Compile `directory` to the file `cdb`, which is replaced as a whole or not at all. Throws RulesProblem. */
export function compileDirectory(directory: string, cdb: string, options: CompileOptions): void {
  const replaceOptions = { tag: TEMPORARY_TAG, mode: options.mode };
  attempt(`write ${cdb}`, () =>
    replaceCdbFile(options.posix, cdb, replaceOptions, (sink) => {
      const writer = new CdbWriter(sink);
      for (const key of ruleKeys(directory, options)) {
        const value = compileRule(`${directory}/${key}`, options);
        if (value !== undefined) writer.add(encodeBytes(key), value);
      }
      writer.finish();
    }),
  );
}

function* ruleKeys(directory: string, options: CompileOptions): Generator<string, void> {
  for (const kind of visibleNames(directory, options)) {
    for (const name of visibleNames(`${directory}/${kind}`, options)) yield `${kind}/${name}`;
  }
}

function visibleNames(path: string, { posix, sort = false }: CompileOptions): string[] {
  const names = attempt(`read the directory ${path}`, () =>
    listNames(posix, path, RULES_ENTRIES_MAX),
  ).filter((name) => !name.startsWith("."));
  return sort ? names.sort((a, b) => encodeBytes(a).compare(encodeBytes(b))) : names;
}

/** The value of a rule; undefined when it neither allows nor denies. */
function compileRule(rule: string, options: CompileOptions): Uint8Array | undefined {
  requireDirectory(rule, options.posix);
  if (exists(`${rule}/allow`, options.posix)) {
    return formatAllow(compileEnvironment(`${rule}/env`, options), compileExec(rule, options));
  }
  return exists(`${rule}/deny`, options.posix) ? DENY_VALUE : undefined;
}

type PresencePosix = Pick<Posix, "fileVersion" | "linkVersion" | "strerror">;

/** A link that leads nowhere is no directory either: while it does, the rule denies. */
function requireDirectory(rule: string, posix: PresencePosix): void {
  const version = posix.fileVersion(rule);
  if (typeof version === "string") throw unreadable(rule, version, posix);
  if (isOfType(version, "directory")) return;
  throw new RulesProblem(
    "system",
    `${rule} is not a directory: a rule is a directory that holds allow or deny`,
  );
}

/** A link that leads nowhere is there too: the rule would be lost were it left out. */
function exists(path: string, posix: PresencePosix): boolean {
  const version = posix.fileVersion(path);
  if (typeof version !== "string") return true;
  if (version === "ENOENT" && posix.linkVersion(path) === "ENOENT") return false;
  throw unreadable(path, version, posix);
}

function unreadable(path: string, code: string, posix: PresencePosix): RulesProblem {
  return new RulesProblem("system", `unable to read ${path}: ${posix.strerror(code)}`);
}

function compileEnvironment(path: string, { posix, sort = false }: CompileOptions): Uint8Array {
  if (posix.linkVersion(path) === "ENOENT") return new Uint8Array(0);
  const edits = attempt(`read the environment directory ${path}`, () =>
    readEnvironmentDirectory(posix, path),
  );
  if (sort) edits.sort((a, b) => encodeBytes(a.name).compare(encodeBytes(b.name)));
  const bytes = encodeEdits(edits);
  if (bytes.length <= RULE_ENVIRONMENT_BYTES_MAX) return bytes;
  throw new RulesProblem(
    "input",
    `${path} is too big: ${bytes.length} bytes of variables, a rule holds ${RULE_ENVIRONMENT_BYTES_MAX}`,
  );
}

function compileExec(rule: string, { posix, warn }: CompileOptions): Uint8Array {
  const path = `${rule}/exec`;
  if (posix.linkVersion(path) === "ENOENT") return new Uint8Array(0);
  const script = attempt(`read ${path}`, () => readHead(posix, path, RULE_EXEC_BYTES_MAX));
  if (script.length === RULE_EXEC_BYTES_MAX) warn(`possibly truncated file ${path}`);
  return script;
}
