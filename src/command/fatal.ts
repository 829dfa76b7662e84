/** The early end of a command. */

import { EXIT } from "../chain/index.ts";

/** Ends a command. `run` throws it; only the launcher prints it and exits. */
export class Fatal extends Error {
  override readonly name = "Fatal";
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** A failure in words: of what the user gave, which exits 100, or of the system, which exits 111. */
export interface Failure {
  readonly fault: "input" | "system";
  readonly message: string;
}

/** Run `work`; what it throws becomes Fatal where `explain` has words for it. */
export function orFatal<T>(explain: (error: unknown) => Failure | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const failure = explain(error);
    if (failure === undefined) throw error;
    const exitCode = failure.fault === "input" ? EXIT.usage : EXIT.system;
    throw new Fatal(exitCode, failure.message, { cause: error });
  }
}
