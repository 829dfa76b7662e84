/** The message of a link about words that it cannot parse. */

import type { Report } from "../host/index.ts";
import { UsageError } from "../options/index.ts";
import { EXIT } from "./exit.ts";
import { linkSynopsis } from "./link.ts";
import type { Link } from "./link.ts";

export function isUsageError(error: unknown): error is UsageError {
  return error instanceof UsageError;
}

/** Report a usage error; the exit code to end with. */
export function reportUsage(report: Report, link: Link, error: UsageError): number {
  report(link.name, "fatal", error.message);
  if (error.showsUsage) report(link.name, "usage", `${link.name} ${linkSynopsis(link)}`);
  return EXIT.usage;
}
