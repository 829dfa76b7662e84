/** Time zones: how far local time is ahead of UTC, and what local time it is at an instant. */

import { floorDivide, leapStateAt, NS_PER_SECOND } from "../index.ts";
import type { Tai } from "../index.ts";
import { civilAt, formatCivil } from "./civil.ts";
import type { Civil } from "./civil.ts";

/** A stretch of time in which local time keeps the same distance to UTC. */
export interface ZoneSpan {
  /** Seconds to add to UTC. */
  readonly offset: number;
  /** Unix seconds: the first, and the first after it; infinite where the span has no end. */
  readonly from: number;
  readonly until: number;
}

export interface Zone {
  /** The span that a Unix time is in. */
  spanAt(unix: number): ZoneSpan;
}

const ALWAYS: ZoneSpan = { offset: 0, from: -Infinity, until: Infinity };

export const UTC_ZONE: Zone = { spanAt: () => ALWAYS };

/** Local time at a Unix second. */
export function localTime(zone: Zone, unix: number): Civil {
  return civilAt(unix + zone.spanAt(unix).offset);
}

/** Local time at a TAI second; in a leap second its `second` is 60. */
export function localTimeOfTai(zone: Zone, tai: number): Civil {
  const { taiMinusUnix, isLeap } = leapStateAt(tai);
  const unix = tai - taiMinusUnix;
  if (!isLeap) return localTime(zone, unix);
  const before = localTime(zone, unix - 1);
  return { ...before, second: before.second + 1 };
}

/** `2016-12-31 23:59:60.000000000`: local time at an instant, to the nanosecond. */
export function formatLocalTime(zone: Zone, tai: Tai): string {
  const seconds = floorDivide(tai, NS_PER_SECOND);
  const nanoseconds = String(tai - seconds * NS_PER_SECOND).padStart(9, "0");
  return `${formatCivil(localTimeOfTai(zone, Number(seconds)))}.${nanoseconds}`;
}
