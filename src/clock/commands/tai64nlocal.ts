/** s6-tai64nlocal: the TAI64N labels of a log as local time (supervision.md, section 10.2). */

import { defineCommand } from "../../command/index.ts";
import { flag } from "../../options/index.ts";
import { loadZone, UTC_ZONE } from "../civil/index.ts";
import { LocalizingFilter } from "../stamps/index.ts";
import { runFilter } from "./filter/run-filter.ts";

export const tai64nlocal = defineCommand({
  name: "s6-tai64nlocal",
  summary: "turn the TAI64N labels of lines into local time",
  family: "short",
  options: { usesUtc: flag({ short: "g", help: "show UTC instead of local time" }) },
  operands: "",
  operandCount: [0, Infinity],
  run({ posix, environment }, { usesUtc }) {
    const zone = usesUtc ? UTC_ZONE : loadZone(posix, environment.get("TZ"));
    return runFilter(posix, new LocalizingFilter(zone));
  },
});
