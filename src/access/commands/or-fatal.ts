/** How the commands of this area end when something is wrong with rules or files. */

import { EXIT } from "../../chain/index.ts";
import { Fatal } from "../../command/index.ts";
import { errnoOf } from "../../posix/index.ts";
import { CdbError } from "../cdb.ts";
import { RulesProblem } from "../problem.ts";
import { RuleLineError } from "../tcprules-line.ts";

import type { Posix } from "../../posix/index.ts";

/** Run `work`; what the library throws becomes Fatal, 100 for wrong rules and 111 for all else. */
export function orFatal<T>(posix: Pick<Posix, "strerror">, action: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toFatal(posix, action, error);
  }
}

function toFatal(posix: Pick<Posix, "strerror">, action: string, error: unknown): unknown {
  if (error instanceof RuleLineError) {
    return new Fatal(EXIT.usage, error.message, { cause: error });
  }
  if (error instanceof RulesProblem) {
    const exitCode = error.fault === "input" ? EXIT.usage : EXIT.system;
    return new Fatal(exitCode, error.message + reason(posix, error.cause), { cause: error });
  }
  if (error instanceof CdbError || error instanceof RangeError) {
    return new Fatal(EXIT.system, `unable to ${action}: ${error.message}`, { cause: error });
  }
  if (errnoOf(error) === undefined) return error;
  return new Fatal(EXIT.system, `unable to ${action}${reason(posix, error)}`, { cause: error });
}

function reason(posix: Pick<Posix, "strerror">, cause: unknown): string {
  if (cause === undefined) return "";
  const code = errnoOf(cause);
  if (code !== undefined) return `: ${posix.strerror(code)}`;
  return cause instanceof Error ? `: ${cause.message}` : "";
}
