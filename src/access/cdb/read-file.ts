/** Reading a database file. */

import { readFile, UnfitFile } from "../../posix/index.ts";
import { CDB_BYTES_MAX, CdbError } from "./cdb.ts";

import type { ReadingPosix } from "../../posix/index.ts";

/**
 * A database file, whole. Throws CdbError for an empty or too large file, UnfitFile for one that is not
 * regular or goes on changing, and SystemError.
 */
export function readCdbFile(posix: ReadingPosix, path: string): Buffer {
  const bytes = readBounded(posix, path);
  if (bytes.length === 0) throw new CdbError("the file is empty");
  return bytes;
}

function readBounded(posix: ReadingPosix, path: string): Buffer {
  try {
    return readFile(posix, path, CDB_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof UnfitFile) || error.reason !== "too long") throw error;
    throw new CdbError("the file is longer than a CDB can be");
  }
}
