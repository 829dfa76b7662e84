/** s6-taiclock: how far the clock is off that of a TAICLOCK server (networking.md, section 18.4). */

import { defineCommand } from "../../command/index.ts";
import { queryTaiclock, TAICLOCK_PORT } from "../sync/index.ts";
import { portOption, SERIES_OPTIONS } from "./series/options.ts";
import { runSeries } from "./series/run-series.ts";

const CLIENT = {
  server: "taiclock server",
  series: "TAIA",
  trip: "TAIA",
  query: queryTaiclock,
} as const;

export const taiclock = defineCommand({
  name: "s6-taiclock",
  summary: "measure the system clock against a TAICLOCK server",
  family: "short",
  options: { ...SERIES_OPTIONS, port: portOption("where the server listens", TAICLOCK_PORT) },
  operands: "ipaddress",
  operandCount: [1, Infinity],
  run(context, options, [ip = ""]) {
    const values = { ...options, exchanges: Math.max(options.exchanges, 1) };
    return runSeries("s6-taiclock", CLIENT, context, { values, ip });
  },
});
