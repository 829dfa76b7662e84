/** Where the record of a refusal goes: stderr, JSON as it is, text behind a program's name. */

import type { LinkContext } from "../chain/index.ts";
import { encodeBytes, SystemError, writeFully } from "../posix/index.ts";
import type { Fd } from "../posix/index.ts";

export function recordRefusal(
  record: string,
  format: "text" | "json",
  program: string,
  { posix, report }: LinkContext,
): void {
  if (format === "text") {
    report(program, "info", record);
    return;
  }
  try {
    writeFully(posix, 2 as Fd, encodeBytes(`${record}\n`));
  } catch (error) {
    // Our stderr has no reader any more; there is no other place to report that.
    if (!(error instanceof SystemError)) throw error;
  }
}
