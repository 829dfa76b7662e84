/** s6-envdir: variables from the files of a directory (supervision.md, 11.3). */

import { closeSync, constants, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import {
  ENVIRONMENT_FILE_BYTES_MAX,
  isVariableFile,
  parseEnvironmentFile,
} from "../../net/index.ts";
import type { EnvironmentEdit, EnvironmentFileOptions } from "../../net/index.ts";
import { choice, flag, text, value } from "../../options/index.ts";
import { decodeBytes, encodeBytes, errnoOf } from "../../posix/index.ts";

const NAME = "s6-envdir";

export const envdir = defineLink({
  name: NAME,
  summary: "run a program with variables from the files of a directory",
  family: "short",
  options: {
    ignoresMissing: choice(false, [
      { short: "i", value: false, help: "fail when the directory is missing (the default)" },
      { short: "I", value: true, help: "a missing directory changes nothing" },
    ]),
    keepTrailingBlanks: flag({
      short: "n",
      help: "keep blanks, tabs and carriage returns at the end of a value",
    }),
    wholeFile: flag({
      short: "f",
      help: "take the whole file, not its first line; without -n less one newline at its end",
    }),
    isUnlimited: flag({
      short: "L",
      help: `take values of any length, instead of their first ${ENVIRONMENT_FILE_BYTES_MAX} bytes`,
    }),
    nul: value<string, undefined>(
      { short: "c", argument: "char", help: "what NUL bytes become, instead of newlines" },
      text,
    ),
  },
  operands: ["dir"],
  program: "required",
  reach: "identity",
  run(launch, { options, operands, program }, { posix, report }) {
    const [directory = ""] = operands;
    const nul = options.nul === undefined ? undefined : encodeBytes(options.nul).at(0);
    const fileOptions: EnvironmentFileOptions = {
      keepTrailingBlanks: options.keepTrailingBlanks,
      wholeFile: options.wholeFile,
      bytesMax: options.isUnlimited ? Infinity : ENVIRONMENT_FILE_BYTES_MAX,
      ...(nul === undefined ? {} : { nulReplacement: nul }),
    };
    const edits: readonly EnvironmentEdit[] | string =
      options.nul === "" ? "EINVAL" : readEdits(directory, fileOptions, options.ignoresMissing);
    if (typeof edits === "string") {
      report(NAME, "fatal", `unable to envdir ${directory}: ${posix.strerror(edits)}`);
      return end(EXIT.system);
    }
    return goOn({ ...withEnvironment(launch, edits), argv: program });
  },
});

/** The edits that a directory stands for, or the errno name of what went wrong. */
function readEdits(
  directory: string,
  options: EnvironmentFileOptions,
  ignoresMissing: boolean,
): readonly EnvironmentEdit[] | string {
  const names = listFiles(directory);
  if (names === "ENOENT" && ignoresMissing) return [];
  if (typeof names === "string") return names;
  const edits: EnvironmentEdit[] = [];
  for (const name of names) {
    const bytes = readStart(`${directory}/${name}`, options.bytesMax ?? Infinity);
    if (typeof bytes === "string") return bytes;
    edits.push({ name, value: parseEnvironmentFile(bytes, options) });
  }
  return edits;
}

function listFiles(directory: string): readonly string[] | string {
  try {
    const entries = readdirSync(encodeBytes(directory), { encoding: "buffer" });
    return entries.map((entry) => decodeBytes(entry)).filter(isVariableFile);
  } catch (error) {
    return codeOf(error);
  }
}

/** The first bytes of a file, all of it if there is no maximum; the errno name of a failure. */
function readStart(path: string, bytesMax: number): Uint8Array | string {
  try {
    // Not blocking, lest a fifo without a writer hold everything up.
    const fd = openSync(encodeBytes(path), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return bytesMax === Infinity ? readFileSync(fd) : readUpTo(fd, bytesMax);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return codeOf(error);
  }
}

function readUpTo(fd: number, bytesMax: number): Uint8Array {
  const bytes = Buffer.alloc(bytesMax);
  let length = 0;
  while (length < bytesMax) {
    const count = readSync(fd, bytes, length, bytesMax - length, null);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

function codeOf(error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  return code;
}
