/** The options of the commands of s6-sudo. */

import { flag, milliseconds, value } from "../options/index.ts";

/** Of s6-sudoc, and of s6-sudo, which passes them on. */
export const SUDOC_OPTIONS = {
  keepsEnvironment: flag({ short: "e", help: "send no variables" }),
  timeoutMs: value(
    {
      short: "t",
      argument: "ms",
      help: "give up when the program does not run after so long; 0 is never",
    },
    milliseconds,
  ),
  runTimeoutMs: value(
    { short: "T", argument: "ms", help: "give up when the program runs longer; 0 is never" },
    milliseconds,
  ),
};
