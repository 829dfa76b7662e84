/** The filters as commands: from stdin to stdout, with their messages and exit codes. */

import { EXIT } from "../../../chain/index.ts";
import { Fatal } from "../../../command/index.ts";
import { SystemError } from "../../../posix/index.ts";
import type { Fd, Posix } from "../../../posix/index.ts";
import { filterLines } from "../../stamps/index.ts";
import type { LineFilter } from "../../stamps/index.ts";

/** The exit code that a shell shows for a program killed by SIGPIPE: Node ignores the signal. */
const KILLED_BY_SIGPIPE = 128 + 13;

/** The exit code; there is no message when the output has no reader any more. Throws Fatal for the rest. */
export function runFilter(posix: Posix, filter: LineFilter): number {
  try {
    filterLines(posix, { input: 0 as Fd, output: 1 as Fd }, filter);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EPIPE") return KILLED_BY_SIGPIPE;
    const action = error.syscall === "read" ? "read from stdin" : "write to stdout";
    throw new Fatal(EXIT.system, `unable to ${action}: ${error.message}`, { cause: error });
  }
}
