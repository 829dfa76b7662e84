/** Writing bytes to standard output; text is written by `context.print`. */

import { EXIT } from "../../../chain/index.ts";
import { Fatal } from "../../../command/index.ts";
import { SystemError, writeFully } from "../../../posix/index.ts";
import type { Fd, Posix } from "../../../posix/index.ts";

/** Throws Fatal where it fails. */
export function writeOutput(posix: Posix, bytes: Uint8Array): void {
  try {
    writeFully(posix, 1 as Fd, bytes);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Fatal(EXIT.system, `unable to write to stdout: ${error.message}`, { cause: error });
  }
}
