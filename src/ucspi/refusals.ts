/** Where the record of a refusal goes: the log, JSON as it is, text behind a program's name. */

import type { LinkContext } from "../chain/index.ts";

export function recordRefusal(
  record: string,
  format: "text" | "json",
  speaker: string,
  { log, report }: LinkContext,
): void {
  if (format === "text") report(speaker, "info", record);
  else log.line(speaker, "info", record);
}
