/** The time zone that the variable TZ stands for, as libc reads it (tzset(3)). */

import { errnoOf, readHead } from "../../posix/index.ts";
import type { Posix } from "../../posix/index.ts";
import { parseTzif, TZIF_BYTES_MAX } from "./tzif.ts";
import { parseZoneRule } from "./zone-rule.ts";
import { UTC_ZONE } from "./zone.ts";
import type { Zone } from "./zone.ts";

const SYSTEM_ZONE = "/etc/localtime";
const DIRECTORIES = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/**
 * The zone of TZ: that of the system where it is not set (undefined), UTC where it is empty, else the
 * name of a file of the tz database, an absolute path, or a rule. UTC where it is none of them.
 */
export function loadZone(posix: Posix, tz: string | undefined): Zone {
  if (tz === "") return UTC_ZONE;
  const name = tz === undefined ? SYSTEM_ZONE : tz.replace(/^:/, "");
  const paths = name.startsWith("/") ? [name] : DIRECTORIES.map((folder) => `${folder}/${name}`);
  for (const path of paths) {
    const zone = readZone(posix, path);
    if (zone !== undefined) return zone;
  }
  return parseZoneRule(name) ?? UTC_ZONE;
}

/** The zone in a file; undefined when it cannot be read or is not one. */
function readZone(posix: Posix, path: string): Zone | undefined {
  try {
    return parseTzif(readHead(posix, path, TZIF_BYTES_MAX));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
