/** Failures of compiling, unpacking and reading rules by a tool. */

import { TemporaryFileError } from "../../posix/index.ts";

/**
 * Rules that cannot be processed. `fault` is "input" where the user has to change something (the
 * commands exit 100) and "system" where a file is damaged or a system call failed (111); a failed
 * call is the cause.
 */
export class RulesProblem extends Error {
  override readonly name = "RulesProblem";
  readonly fault: "input" | "system";

  constructor(fault: "input" | "system", message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Run `work`, saying what we were unable to do should a system call fail in it. */
export function attempt<T>(action: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RulesProblem || error instanceof TemporaryFileError) throw error;
    throw new RulesProblem("system", `unable to ${action}`, { cause: error });
  }
}
