/** The time zones of the machine: not every machine has them. */

import { existsSync } from "node:fs";
import { join } from "node:path";

export const ZONE_FOLDER = "/usr/share/zoneinfo";

/** As `Peer`: for `describe.skipIf(zones.isMissing)(`title${zones.why}`, ...)`. */
interface ZoneFiles {
  readonly isMissing: boolean;
  readonly why: string;
}

/** The zones of the tz database; on CI they have to be there. */
export const zones = zoneFiles("Europe/Berlin", (process.env["CI"] ?? "") !== "");

/** Those with leap seconds, which some distributions keep in a package of their own. */
export const rightZones = zoneFiles("right/Europe/Berlin", false);

function zoneFiles(sample: string, hasToBe: boolean): ZoneFiles {
  if (existsSync(join(ZONE_FOLDER, sample))) return { isMissing: false, why: "" };
  const problem = `the time zone ${sample} is not installed`;
  if (hasToBe) throw new Error(`${problem}; CI has to have it`);
  return { isMissing: true, why: ` (skipped: ${problem})` };
}
