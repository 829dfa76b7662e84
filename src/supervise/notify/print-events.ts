/** Events on standard output. */

import { descriptorAt, EXIT } from "../../chain/index.ts";
import type { Launch, LinkContext } from "../../chain/index.ts";
import { SystemError, writeFully } from "../../posix/index.ts";

const NEWLINE = "\n";

/** Write events and a newline to the standard output of the launch; the exit code. */
export function printEvents(
  launch: Launch,
  name: string,
  events: Uint8Array,
  { posix, report }: LinkContext,
): number {
  try {
    writeFully(posix, descriptorAt(launch, 1), Buffer.concat([events, Buffer.from(NEWLINE)]));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(name, "fatal", `unable to write to stdout: ${error.message}`);
    return EXIT.system;
  }
}
