/** The errors of this area in words for a user, and whose fault they are. */

import { errnoOf, TemporaryFileError, UnfitFile } from "../posix/index.ts";
import { CdbError } from "./cdb/cdb.ts";
import { RulesProblem } from "./lookup/problem.ts";
import { RuleLineError } from "./tcprules/line.ts";

import type { Posix } from "../posix/index.ts";

/** A failure in words. `fault` is as in RulesProblem: "input" is the user's, "system" all else. */
export interface RulesFailure {
  readonly fault: "input" | "system";
  readonly message: string;
}

/** Describe an error that happened on the way to `action`; undefined for one that is not of this area. */
export function explainFailure(
  posix: Pick<Posix, "strerror">,
  action: string,
  error: unknown,
): RulesFailure | undefined {
  if (error instanceof RuleLineError) return { fault: "input", message: error.message };
  if (error instanceof RulesProblem) {
    return { fault: error.fault, message: error.message + reason(posix, error.cause) };
  }
  if (error instanceof TemporaryFileError) {
    return { fault: "system", message: error.message + reason(posix, error.cause) };
  }
  if (error instanceof UnfitFile) {
    return { fault: "system", message: `unable to ${action}: ${error.message}` };
  }
  if (error instanceof CdbError || error instanceof RangeError) {
    return { fault: "system", message: `unable to ${action}: ${error.message}` };
  }
  if (errnoOf(error) === undefined) return undefined;
  return { fault: "system", message: `unable to ${action}${reason(posix, error)}` };
}

function reason(posix: Pick<Posix, "strerror">, cause: unknown): string {
  if (cause === undefined) return "";
  if (cause instanceof UnfitFile) return `: ${cause.message}`;
  const code = errnoOf(cause);
  if (code !== undefined) return `: ${posix.strerror(code)}`;
  return cause instanceof Error ? `: ${cause.message}` : "";
}
