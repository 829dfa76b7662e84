/** The place of the record of a refusal: the log, JSON as it is, text behind a program's name. */

import type { LinkContext } from "../chain/index.ts";

export function recordRefusal(
  record: string,
  format: "text" | "json",
  program: string,
  { host, report }: LinkContext,
): void {
  if (format === "text") report(program, "info", record);
  else host.log.line(program, "info", record);
}
