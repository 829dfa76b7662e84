/** The option that the listening tools share. */

import { milliseconds, value } from "../../options/index.ts";

export const WAIT_TIMEOUT = value(
  { short: "t", long: "timeout", argument: "ms", help: "give up after so long; 0 is never" },
  milliseconds,
);
