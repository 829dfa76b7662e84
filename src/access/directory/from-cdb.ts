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
 * Unpack the file `cdb` into `directory`, which must not exist. On any failure nothing is left of it.
 * Throws RulesProblem.
 */
export function unpackCdb(cdb: string, directory: string, options: UnpackOptions): void {
  const { posix, warn } = options;
  const database = attempt(`read ${cdb}`, () => openCdb(posix, cdb));
  attempt(`create ${directory}`, () => posix.mkdir(directory, DIRECTORY_MODE));
  try {
    posix.chmod(directory, DIRECTORY_MODE);
    const overridden = database.overridden();
    for (const record of database.entries()) {
      if (!overridden.has(record.position)) unpackRecord(directory, record, options);
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

function unpackRecord(directory: string, record: CdbRecord, options: UnpackOptions): void {
  const { posix } = options;
  const key = decodeBytes(record.key);
  const value = parseRuleValue(record.value);
  if (value.kind === "error") throw invalidRule(key, value.why);
  if (value.kind === "deny" && record.value.length > 1) {
    throw invalidRule(key, "there is something after D");
  }
  const rule = makeRuleDirectory(posix, directory, key);
  if (value.kind === "deny") writeFile(posix, `${rule}/deny`, "");
  if (value.kind === "allow") unpackAllow(rule, key, value, options);
}

function unpackAllow(
  rule: string,
  key: string,
  value: RuleValue & { readonly kind: "allow" },
  { posix, warn }: UnpackOptions,
): void {
  const edits = decodeEdits(value.environment);
  if (edits === undefined) throw invalidRule(key, "its environment is malformed");
  writeFile(posix, `${rule}/allow`, "");
  if (edits.length > 0) makeDirectory(posix, `${rule}/env`);
  for (const edit of edits) {
    if (!isFileName(edit.name) || edit.name.startsWith(".")) {
      throw invalidRule(key, `no file can stand for the variable ${JSON.stringify(edit.name)}`);
    }
    if (TRAILING_BLANK.test(edit.value ?? "")) {
      warn(`${rule}/env/${edit.name} cannot keep the blanks at the end of its value`);
    }
    writeFile(posix, `${rule}/env/${edit.name}`, variableFile(edit));
  }
  if (value.exec.length > 0) writeFile(posix, `${rule}/exec`, value.exec);
}

/** The content that is read back as this value: a newline in it becomes a NUL. */
function variableFile({ value }: EnvironmentEdit): Uint8Array {
  return encodeBytes(value === undefined ? "" : `${value.replaceAll("\n", "\0")}\n`);
}

/** A key is a path below the directory or the record is refused. */
function makeRuleDirectory(posix: Posix, directory: string, key: string): string {
  const parts = key.split("/");
  if (!parts.every(isFileName)) throw invalidRule(key, "the key is no path below the directory");
  let path = directory;
  for (const part of parts) {
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
