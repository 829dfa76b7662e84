/** Unpacking a CDB file of rules to a directory (networking 8.4, local-services 7.7). */

import { decodeEdits } from "../../net/index.ts";
import { decodeBytes, encodeBytes, errnoOf, removeTree, writeFully } from "../../posix/index.ts";
import { Cdb, CdbError } from "../cdb/cdb.ts";
import { attempt, RulesProblem } from "../lookup/problem.ts";
import { readCdbFile } from "../cdb/read-file.ts";
import { parseRuleValue } from "../lookup/rule-value.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { Posix, ReadingPosix } from "../../posix/index.ts";
import type { CdbRecord } from "../cdb/cdb.ts";
import type { RuleValue } from "../lookup/rule-value.ts";

const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o666;
const TRAILING_BLANK = /[ \t\r]$/;

export interface UnpackOptions {
  readonly posix: Posix;
  /** Told of what the directory cannot express. */
  readonly warn: (message: string) => void;
}

/**
 * Unpack the file `cdb` into `directory`, which must not exist. Nothing is made of a database in which any
 * record is no rule, and on any other failure nothing is left. Throws RulesProblem.
 */
export function unpackCdb(cdb: string, directory: string, options: UnpackOptions): void {
  const { posix, warn } = options;
  const database = attempt(`read ${cdb}`, () => openCdb(posix, cdb));
  for (const record of database.entries()) parseRecord(record);
  attempt(`create ${directory}`, () => posix.mkdir(directory, DIRECTORY_MODE));
  try {
    posix.chmod(directory, DIRECTORY_MODE);
    const overridden = database.overridden();
    for (const record of database.entries()) {
      if (!overridden.has(record.position)) unpackRule(directory, parseRecord(record), options);
      else warn(`left out a second rule for ${decodeBytes(record.key)}, which is never used`);
    }
  } catch (error) {
    removeTree(posix, directory);
    throw error;
  }
}

function openCdb(posix: ReadingPosix, path: string): Cdb {
  try {
    const database = new Cdb(readCdbFile(posix, path));
    database.verify();
    return database;
  } catch (error) {
    if (!(error instanceof CdbError)) throw error;
    throw new RulesProblem("system", `${path} is not a sound CDB file: ${error.message}`);
  }
}

/** A record that is a rule; no edits where it denies. */
interface ParsedRule {
  readonly key: string;
  readonly allow: boolean;
  readonly edits: readonly EnvironmentEdit[];
  readonly exec: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/** Throws RulesProblem for a record that is no rule, or none that a directory can hold. */
function parseRecord(record: CdbRecord): ParsedRule {
  const key = decodeBytes(record.key);
  const parts = key.split("/");
  if (!parts.every(isFileName)) throw invalidRule(key, "the key is no path below the directory");
  // The compilers of both suites take a tree of any kind of key, so that they can all be unpacked.
  if (parts.length !== 2) throw invalidRule(key, "the key is not a kind, a slash and a name");
  const value = parseRuleValue(record.value);
  if (value.kind === "error") throw invalidRule(key, value.why);
  if (value.kind === "notFound") throw invalidRule(key, "the value neither allows nor denies");
  if (value.kind === "allow") {
    return { key, allow: true, edits: editsOf(key, value), exec: value.exec };
  }
  if (record.value.length > 1) throw invalidRule(key, "there is something after D");
  return { key, allow: false, edits: [], exec: NO_BYTES };
}

function editsOf(
  key: string,
  { environment }: RuleValue & { readonly kind: "allow" },
): EnvironmentEdit[] {
  const edits = decodeEdits(environment);
  if (edits === undefined) throw invalidRule(key, "its environment is malformed");
  const bad = edits.find(({ name }) => !isFileName(name) || name.startsWith("."));
  if (bad === undefined) return edits;
  throw invalidRule(key, `no file can stand for the variable ${JSON.stringify(bad.name)}`);
}

function unpackRule(directory: string, parsed: ParsedRule, { posix, warn }: UnpackOptions): void {
  const { key, allow, edits, exec } = parsed;
  const rule = makeRuleDirectory(posix, directory, key);
  writeFile(posix, `${rule}/${allow ? "allow" : "deny"}`, "");
  if (edits.length > 0) makeDirectory(posix, `${rule}/env`);
  for (const edit of edits) {
    if (TRAILING_BLANK.test(edit.value ?? "")) {
      warn(`${rule}/env/${edit.name} cannot keep the blanks at the end of its value`);
    }
    writeFile(posix, `${rule}/env/${edit.name}`, variableFile(edit));
  }
  if (exec.length > 0) writeFile(posix, `${rule}/exec`, exec);
}

/** The content that is read back as this value: a newline in it becomes a NUL. */
function variableFile({ value }: EnvironmentEdit): Uint8Array {
  return encodeBytes(value === undefined ? "" : `${value.replaceAll("\n", "\0")}\n`);
}

function makeRuleDirectory(posix: Posix, directory: string, key: string): string {
  let path = directory;
  for (const part of key.split("/")) {
    path += `/${part}`;
    makeDirectory(posix, path);
  }
  return path;
}

function isFileName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
}

/** Make a directory, unless an earlier rule needed it too. The umask does not count. */
function makeDirectory(posix: Posix, path: string): void {
  attempt(`create ${path}`, () => {
    try {
      posix.mkdir(path, DIRECTORY_MODE);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return;
      throw error;
    }
    posix.chmod(path, DIRECTORY_MODE);
  });
}

function writeFile(posix: Posix, path: string, content: string | Uint8Array): void {
  attempt(`write ${path}`, () => {
    const fd = posix.open(path, "write", { create: FILE_MODE, truncate: true });
    try {
      writeFully(posix, fd, typeof content === "string" ? Buffer.from(content) : content);
    } finally {
      posix.close(fd);
    }
  });
}

function invalidRule(key: string, why: string): RulesProblem {
  return new RulesProblem("system", `invalid rule ${JSON.stringify(key)}: ${why}`);
}
