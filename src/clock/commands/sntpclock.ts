/** s6-sntpclock: how far the clock is off that of an NTP server (networking.md, section 18.4). */

import { defineCommand } from "../../command/index.ts";
import { loadZone } from "../civil/index.ts";
import { querySntp, SNTP_PORT } from "../sync/index.ts";
import { portOption, SERIES_OPTIONS } from "./series/options.ts";
import { runSeries } from "./series/run-series.ts";
import { traceSntp } from "./series/trace-sntp.ts";

const NAME = "s6-sntpclock";

export const sntpclock = defineCommand({
  name: NAME,
  summary: "measure the system clock against an NTP server",
  family: "short",
  options: { ...SERIES_OPTIONS, port: portOption("where the server listens", SNTP_PORT) },
  operands: "ipaddress",
  operandCount: [1, Infinity],
  run(context, values, [ip = ""]) {
    const { posix, environment, report } = context;
    const zone = loadZone(posix, environment.get("TZ"));
    const trace = traceSntp((text) => report(NAME, "info", text), zone, values.exchanges);
    const client = { server: "NTP server", series: "SNTP", trip: "NTP", query: querySntp, trace };
    return runSeries(NAME, client, context, { values, ip });
  },
});
