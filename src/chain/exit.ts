/** Exit codes of the suite (networking.md, section 1.2). */

import type { End } from "../host/index.ts";

export const EXIT = {
  ok: 0,
  refused: 1,
  timedOut: 99,
  usage: 100,
  bug: 101,
  system: 111,
  notExecutable: 126,
  notFound: 127,
} as const;

/** The exit code for a program that could not be executed. */
export function execFailureCode(errnoName: string | undefined): number {
  return errnoName === "ENOENT" ? EXIT.notFound : EXIT.notExecutable;
}

/** The exit code of a process for how its resident ended; throws why it could not start. */
export function exitCodeOf(end: End): number {
  switch (end.kind) {
    case "done":
      return end.exitCode;
    case "faulty":
      return EXIT.bug;
    case "notStarted":
      throw end.error;
  }
}
