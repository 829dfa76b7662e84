/** Failures with keys and certificates: of the input, or of the system. */

import { errnoOf } from "../posix/index.ts";

import type { Posix } from "../posix/index.ts";

/**
 * A failure in words, on one line. `fault` is "input" where the user has to change something (the
 * command exits 100) and "system" where a system call failed (111); a failed call is the cause.
 */
export class CertProblem extends Error {
  override readonly name = "CertProblem";
  readonly fault: "input" | "system";

  constructor(fault: "input" | "system", message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** The failure that `error` stands for; undefined for one that is not of this area. */
export function explainCertFailure(
  posix: Pick<Posix, "strerror">,
  error: unknown,
): { readonly fault: "input" | "system"; readonly message: string } | undefined {
  if (!(error instanceof CertProblem)) return undefined;
  const code = errnoOf(error.cause);
  const reason = code === undefined ? "" : `: ${posix.strerror(code)}`;
  return { fault: error.fault, message: error.message + reason };
}

/** Run `work`, which makes system calls, saying what we were unable to do should one of them fail. */
export function attempt<T>(action: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new CertProblem("system", `unable to ${action}`, { cause: error });
  }
}
