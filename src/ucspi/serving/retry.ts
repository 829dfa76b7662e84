/** The backoff after the system has refused a process. */

import type { SystemError } from "../../posix/index.ts";

/** Failures to make a process that pass by themselves when something else ends. */
const PASSING: ReadonlySet<string> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"]);

/** The first wait; each one after it is twice as long, up to the longest. */
const FIRST_MS = 100;
const LONGEST_MS = 1600;

/** A connection waits for 4.7 seconds in all. */
const RETRIES_MAX = 6;

/** Is there any use in asking again? */
export function isPassing({ code }: SystemError): boolean {
  return PASSING.has(code);
}

/** The delay after so many retries; undefined: there have been enough. */
export function retryDelayMs(retries: number): number | undefined {
  return retries < RETRIES_MAX ? Math.min(FIRST_MS * 2 ** retries, LONGEST_MS) : undefined;
}
