/** The `env` directory of a rule: one file per variable (networking 8.2, local-services 2.1). */

import { isVariableFile, parseEnvironmentFile } from "../../net/index.ts";
import { ENVIRONMENT_FILE_BYTES_MAX } from "../../net/index.ts";
import { listNames, readHead } from "../cdb/read-file.ts";

import type { EnvironmentEdit } from "../../net/index.ts";

/**
 * The edits that a directory stands for, in the order of readdir(3). Throws Node's error when the
 * directory or any of its files cannot be read, ENOENT included.
 */
export function readEnvironmentDirectory(path: string): EnvironmentEdit[] {
  return listNames(path)
    .filter(isVariableFile)
    .map((name) => ({ name, value: readVariable(`${path}/${name}`) }));
}

function readVariable(path: string): string | undefined {
  return parseEnvironmentFile(readHead(path, ENVIRONMENT_FILE_BYTES_MAX));
}
