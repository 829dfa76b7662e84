export { civilAt, daysTo, formatCivil } from "./civil.ts";
export type { Civil } from "./civil.ts";
export { loadZone } from "./load-zone.ts";
export { parseTzif, TZIF_BYTES_MAX } from "./tzif.ts";
export { parseZoneRule } from "./zone-rule.ts";
export { formatLocalTime, localTime, localTimeOfTai, UTC_ZONE } from "./zone.ts";
export type { Zone, ZoneSpan } from "./zone.ts";
