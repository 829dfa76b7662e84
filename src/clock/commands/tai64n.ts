/** s6-tai64n: a TAI64N label in front of every line (supervision.md, section 10.1). */

import { defineCommand } from "../../command/index.ts";
import { StampingFilter } from "../stamps/index.ts";
import { runFilter } from "./filter/run-filter.ts";

export const tai64n = defineCommand({
  name: "s6-tai64n",
  summary: "put the time as a TAI64N label in front of every line",
  family: "none",
  options: {},
  operands: "",
  operandCount: [0, Infinity],
  run: ({ posix }) => runFilter(posix, new StampingFilter(() => posix.realtimeNs())),
});
