/** Exit codes of the suite (networking.md, section 1.2). */

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
