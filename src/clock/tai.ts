/**
 * Instants on the TAI scale, which has no leap seconds to stumble over, and UTC as Unix time tells it.
 * Both are exact to the nanosecond, in both directions, and at every leap second.
 */

import { followsLeapSecond, leapStateAt, taiMinusUnix } from "./leap-seconds.ts";

declare const taiBrand: unique symbol;

/**
 * An instant: nanoseconds since 1970-01-01 00:00:00 TAI. The difference of two is an ordinary bigint,
 * the nanoseconds that passed between them; `taiAt` makes an instant of such a number.
 */
export type Tai = bigint & { readonly [taiBrand]: true };

/** An instant in UTC. */
export interface Utc {
  /** Nanoseconds since 1970-01-01 00:00:00 as Unix counts them. */
  readonly unixNs: bigint;
  /**
   * It is in an inserted second, 23:59:60, which Unix time cannot tell: `unixNs` is then that of the
   * second after it, as if the clock had been set back at midnight.
   */
  readonly isLeapSecond: boolean;
}

export const NS_PER_SECOND = 1_000_000_000n;

/** The instant that is `ns` nanoseconds after 1970-01-01 00:00:00 TAI. */
export function taiAt(ns: bigint): Tai {
  return ns as Tai;
}

/** The instant of a Unix time, which is never in a leap second. */
export function taiFromUnix(unixNs: bigint): Tai {
  const unix = Number(floorDivide(unixNs, NS_PER_SECOND));
  return taiAt(unixNs + BigInt(taiMinusUnix(unix)) * NS_PER_SECOND);
}

/** The instant of a time in UTC. Throws RangeError for a leap second that there never was. */
export function taiFromUtc({ unixNs, isLeapSecond }: Utc): Tai {
  if (!isLeapSecond) return taiFromUnix(unixNs);
  if (!followsLeapSecond(Number(floorDivide(unixNs, NS_PER_SECOND)))) {
    throw new RangeError(`There is no leap second before Unix time ${unixNs} ns`);
  }
  return taiAt(taiFromUnix(unixNs) - NS_PER_SECOND);
}

/**
 * An instant in UTC.
 *
 * @example
 * const tai = parseTai64n("@40000000586846a400000000"); // 2016-12-31 23:59:60
 * utcFromTai(tai); // { unixNs: 1483228800000000000n, isLeapSecond: true }
 */
export function utcFromTai(tai: Tai): Utc {
  const state = leapStateAt(Number(floorDivide(tai, NS_PER_SECOND)));
  return {
    unixNs: tai - BigInt(state.taiMinusUnix) * NS_PER_SECOND,
    isLeapSecond: state.isLeap,
  };
}

/** Division that rounds down, also where `dividend` is negative. */
export function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor < 0n ? quotient - 1n : quotient;
}
