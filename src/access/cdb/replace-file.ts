/**
 * Replacing a database file, and nothing else: a file that exists is replaced, or taken for the temporary file, only
 * if it is a database too. So operands that were swapped or mistaken cost no file that cannot be made
 * again.
 */

import { basename, dirname } from "node:path";

import { readHead, replaceFile, SystemError } from "../../posix/index.ts";
import { isOfType } from "../lookup/kernel.ts";
import { attempt, RulesProblem } from "../lookup/problem.ts";
import { CDB_HEADER_BYTES, findHeaderProblem } from "./cdb.ts";

import type { Posix, ReadingPosix, ReplaceOptions, ReplacingPosix } from "../../posix/index.ts";
import type { CdbSink } from "./writer.ts";

/** The calls that this takes. */
export type ReplacingCdbPosix = ReplacingPosix &
  ReadingPosix &
  Pick<Posix, "fileVersion" | "linkVersion">;

/**
 * Replace `path` by what `write` puts into the sink, as `replaceFile` does. Throws RulesProblem, before `write` is
 * called, where `path` or the temporary file that is named exists and is neither empty nor a database, and where
 * the two are the same; SystemError where one is a directory. A database that was left in the place of the temporary file is removed.
 */
export function replaceCdbFile(
  posix: ReplacingCdbPosix,
  path: string,
  options: ReplaceOptions,
  write: (sink: CdbSink) => void,
): void {
  const { temporary } = options;
  requireReplaceable(posix, path, isDatabase);
  if (temporary !== undefined) makeWay(posix, path, temporary);
  replaceFile(posix, path, options, write);
}

/** Says of the first bytes of a file, and its size, whether it may go. */
type MayGo = (head: Uint8Array, sizeBytes: number) => boolean;

/** Of a path on which there is a fault, whoever makes the file reports it. */
function requireReplaceable(posix: ReplacingCdbPosix, path: string, mayGo: MayGo): void {
  const entry = posix.linkVersion(path);
  if (typeof entry === "string") return;
  // The kernel says the same, but not before all rules are compiled.
  if (isOfType(entry, "directory")) throw new SystemError("EISDIR", 21, "rename", "Is a directory");
  const version = posix.fileVersion(path);
  if (typeof version === "string" || !isOfType(version, "file")) {
    throw refusal(path, "is not a regular file");
  }
  if (version.sizeBytes === 0) return;
  const head = attempt(`read ${path}`, () => readHead(posix, path, CDB_HEADER_BYTES));
  if (!mayGo(head, version.sizeBytes)) throw refusal(path, "is not a CDB file");
}

function isDatabase(head: Uint8Array, sizeBytes: number): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return findHeaderProblem(view, sizeBytes) === undefined;
}

/**
 * Is this the start of a database whose writer was killed? The header comes last. Only a temporary file can be one,
 * and other files, images of disks for instance, begin with zeros too.
 */
function isUnfinished(head: Uint8Array): boolean {
  return head.length === CDB_HEADER_BYTES && head.every((byte) => byte === 0);
}

/** See to it that the temporary file can be made. */
function makeWay(posix: ReplacingCdbPosix, path: string, temporary: string): void {
  if (isSameEntry(posix, path, temporary)) {
    throw new RulesProblem("input", `${temporary} is both the file and its temporary file`);
  }
  const entry = posix.linkVersion(temporary);
  if (isOfType(entry, "link")) throw refusal(temporary, "is a symbolic link");
  if (isOfType(entry, "directory")) throw refusal(temporary, "is a directory");
  requireReplaceable(
    posix,
    temporary,
    (head, sizeBytes) => isUnfinished(head) || isDatabase(head, sizeBytes),
  );
  if (isOfType(entry, "file")) attempt(`remove ${temporary}`, () => posix.unlink(temporary));
}

function isSameEntry(posix: Pick<Posix, "fileVersion">, a: string, b: string): boolean {
  if (basename(a) !== basename(b)) return false;
  const [one, other] = [posix.fileVersion(dirname(a)), posix.fileVersion(dirname(b))];
  if (typeof one === "string" || typeof other === "string") return false;
  return one.device === other.device && one.inode === other.inode;
}

function refusal(path: string, why: string): RulesProblem {
  return new RulesProblem("system", `${path} exists and ${why}: it is left as it is`);
}
