/** The `env` directory of a rule: one file per variable (networking 8.2, local-services 2.1). */

import { isVariableFile, parseEnvironmentFile } from "../../net/index.ts";
import { ENVIRONMENT_FILE_BYTES_MAX } from "../../net/index.ts";
import { listNames, readHead } from "../../posix/index.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { ListingPosix, ReadingPosix } from "../../posix/index.ts";

/** More variables than any program is given. */
const VARIABLES_MAX = 10_000;

/**
 * The edits that a directory stands for, in the order of readdir(3). Throws SystemError when the
 * directory or any of its files cannot be read, ENOENT included, and UnfitFile for a file that is not
 * regular.
 */
export function readEnvironmentDirectory(
  posix: ReadingPosix & ListingPosix,
  path: string,
): EnvironmentEdit[] {
  return listNames(posix, path, VARIABLES_MAX)
    .filter(isVariableFile)
    .map((name) => ({ name, value: readVariable(posix, `${path}/${name}`) }));
}

function readVariable(posix: ReadingPosix, path: string): string | undefined {
  return parseEnvironmentFile(readHead(posix, path, ENVIRONMENT_FILE_BYTES_MAX));
}
