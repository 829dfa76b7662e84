/** s6-clockadd: set the system clock right by the offset on stdin (networking.md, section 18.2). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { flag, unsigned, value } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import { slewClock, stepClock } from "../sync/index.ts";
import { readOffset } from "./offset/read-offset.ts";

const NAME = "s6-clockadd";
const NS_PER_MS = 1_000_000n;

export const clockadd = defineCommand({
  name: NAME,
  summary: "set the system clock right by an offset",
  family: "short",
  options: {
    force: flag({ short: "f", help: "warn of an offset beyond errmax, and use it all the same" }),
    offsetMaxMs: value(
      { short: "e", argument: "errmax", help: "the largest offset to use (2000 ms)" },
      unsigned,
      2000,
    ),
    slews: flag({
      long: "slew",
      help: "let the clock run faster or slower until it is right, instead of setting it",
      ours: true,
    }),
  },
  operands: "",
  operandCount: [0, Infinity],
  run({ posix, report }, { force, offsetMaxMs, slews }) {
    const offsetNs = readOffset(posix);
    const mostNs = BigInt(offsetMaxMs) * NS_PER_MS;
    if (offsetNs > mostNs || offsetNs < -mostNs) {
      const problem = `time discrepancy bigger than ${offsetMaxMs} milliseconds`;
      if (!force) throw new Fatal(EXIT.refused, problem);
      report(NAME, "warning", problem);
    }
    adjustOrFail(slews ? "slew" : "set", () => (slews ? slewClock : stepClock)(posix, offsetNs));
  },
});

function adjustOrFail(verb: string, adjust: () => void): void {
  try {
    adjust();
  } catch (error) {
    if (!(error instanceof SystemError) && !(error instanceof RangeError)) throw error;
    const message = `unable to ${verb} the system clock: ${error.message}`;
    throw new Fatal(EXIT.system, message, { cause: error });
  }
}
