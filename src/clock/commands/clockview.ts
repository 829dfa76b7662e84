/** s6-clockview: what an offset would do to the system clock (networking.md, section 18.3). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { formatLocalTime, loadZone } from "../civil/index.ts";
import { taiFromUnix } from "../index.ts";
import { isClockTime } from "../sync/index.ts";
import { readOffset } from "./offset/read-offset.ts";

export const clockview = defineCommand({
  name: "s6-clockview",
  summary: "show what an offset would do to the system clock",
  family: "none",
  options: {},
  operands: "",
  operandCount: [0, Infinity],
  run({ posix, environment, print }) {
    const offsetNs = readOffset(posix);
    const zone = loadZone(posix, environment.get("TZ"));
    const beforeNs = posix.realtimeNs();
    const afterNs = beforeNs + offsetNs;
    if (!isClockTime(afterNs)) {
      throw new Fatal(EXIT.system, `no clock can show Unix time ${afterNs} ns`);
    }
    const [before, after] = [beforeNs, afterNs].map((ns) => formatLocalTime(zone, taiFromUnix(ns)));
    print(`before: ${before}\nafter:  ${after}\n`);
  },
});
