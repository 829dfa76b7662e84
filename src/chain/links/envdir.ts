/** s6-envdir: variables from the files of a directory (supervision.md, 11.3). */

import { defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import {
  ENVIRONMENT_FILE_BYTES_MAX,
  isVariableFile,
  parseEnvironmentFile,
} from "../../net/index.ts";
import type { EnvironmentEdit, EnvironmentFileOptions } from "../../net/index.ts";
import { choice, flag, text, value } from "../../options/index.ts";
import { encodeBytes, errnoOf, listNames, readFile, readHead } from "../../posix/index.ts";
import type { Posix } from "../../posix/index.ts";

const NAME = "s6-envdir";

/** More files than any environment has variables. */
const FILES_MAX = 10_000;
/** Of a file without another limit: more than the kernel lets a program have in one variable. */
const VALUE_BYTES_MAX = 1 << 20;

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
      options.nul === ""
        ? "EINVAL"
        : readEdits(posix, directory, fileOptions, options.ignoresMissing);
    if (typeof edits === "string") {
      report(NAME, "fatal", `unable to envdir ${directory}: ${posix.strerror(edits)}`);
      return end(EXIT.system);
    }
    return goOn({ ...withEnvironment(launch, edits), argv: program });
  },
});

/** The edits that a directory stands for, or the errno name of what went wrong. */
function readEdits(
  posix: Posix,
  directory: string,
  options: EnvironmentFileOptions,
  ignoresMissing: boolean,
): readonly EnvironmentEdit[] | string {
  const names = attempt(() => listNames(posix, directory, FILES_MAX));
  if (names === "ENOENT" && ignoresMissing) return [];
  if (typeof names === "string") return names;
  const edits: EnvironmentEdit[] = [];
  for (const name of names.filter(isVariableFile).toSorted()) {
    const bytes = attempt(() => readStart(posix, `${directory}/${name}`, options.bytesMax));
    if (typeof bytes === "string") return bytes;
    edits.push({ name, value: parseEnvironmentFile(bytes, options) });
  }
  return edits;
}

/** The first bytes of a file of any kind, all of it if there is no maximum; nothing is waited for. */
function readStart(posix: Posix, path: string, bytesMax = Infinity): Uint8Array {
  const options = { anyKind: true };
  if (bytesMax === Infinity) return readFile(posix, path, VALUE_BYTES_MAX, options);
  return readHead(posix, path, bytesMax, options);
}

/** The result of a call, or the errno name of its failure. */
function attempt<T>(call: () => T): T | string {
  try {
    return call();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return code;
  }
}
