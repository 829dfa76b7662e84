/** Where the record of a refusal goes: stderr, JSON as it is, text behind a program's name. */

import type { LinkContext } from "../chain/index.ts";
import { encodeBytes, SystemError, writeFully } from "../posix/index.ts";
import type { Fd } from "../posix/index.ts";

export function recordRefusal(
  record: string,
  format: "text" | "json",
  speaker: string,
  { posix, report }: LinkContext,
): void {
  if (format === "text") {
    report(speaker, "info", record);
    return;
  }
  try {
    writeFully(posix, 2 as Fd, encodeBytes(`${record}\n`));
  } catch (error) {
    // Nobody reads our stderr any more; there is no other place to say so.
    if (!(error instanceof SystemError)) throw error;
  }
}
