/**
 * NTP timestamps (RFC 5905 section 6): 32 bits of seconds since 1900 and 32 bits of fraction. The
 * seconds wrap around every 136 years; those below 2^31 are taken as of the era that begins in 2036,
 * so that the years 1968 to 2104 can be told.
 */

import { NS_PER_SECOND } from "../index.ts";

export const NTP64_BYTES = 8;

/** Seconds from 1900-01-01 to 1970-01-01. */
const UNIX_EPOCH_NTP = 2_208_988_800n;
const FIRST_NS = ((1n << 31n) - UNIX_EPOCH_NTP) * NS_PER_SECOND;
const END_NS = ((3n << 31n) - UNIX_EPOCH_NTP) * NS_PER_SECOND;

/**
 * The timestamp of a Unix time, rounded down to the unit of 2^-32 s; undefined outside 1968 to 2104.
 */
export function ntp64FromUnix(unixNs: bigint): bigint | undefined {
  if (unixNs < FIRST_NS || unixNs >= END_NS) return undefined;
  const ns = unixNs + UNIX_EPOCH_NTP * NS_PER_SECOND;
  return BigInt.asUintN(64, (ns << 32n) / NS_PER_SECOND);
}

/** The Unix time of a timestamp of 64 bits, in nanoseconds, rounded down. */
export function unixFromNtp64(stamp: bigint): bigint {
  const seconds = stamp >> 32n;
  const era = seconds < 1n << 31n ? 1n << 32n : 0n;
  const fraction = BigInt.asUintN(32, stamp);
  return (seconds + era - UNIX_EPOCH_NTP) * NS_PER_SECOND + ((fraction * NS_PER_SECOND) >> 32n);
}
