/** Setting the system clock right, all at once or little by little. Needs CAP_SYS_TIME. */

import type { Posix } from "../../posix/index.ts";

const NS_PER_US = 1000n;

/** The times that the kernel's clock can have: nanoseconds in 64 bits, and none before 1970. */
const REALTIME_NS_MAX = (1n << 63n) - 1n;

/**
 * Step the clock: it jumps by `offsetNs`. Throws SystemError (EPERM without the right), and RangeError
 * for a time that no clock can have.
 */
export function stepClock(posix: Posix, offsetNs: bigint): void {
  const then = posix.realtimeNs() + offsetNs;
  if (!isClockTime(then)) throw new RangeError(`The clock cannot be set to Unix time ${then} ns`);
  posix.setRealtimeNs(then);
}

/**
 * Slew the clock: it runs faster or slower, on Linux by 0.05 %, until `offsetNs` is made up for, and
 * never goes back. Replaces a slew under way. Throws SystemError: EPERM without the right, EINVAL for
 * more than some 2145 seconds.
 */
export function slewClock(posix: Posix, offsetNs: bigint): void {
  posix.adjtime(offsetNs / NS_PER_US);
}

/** Can a clock show this Unix time? */
export function isClockTime(unixNs: bigint): boolean {
  return unixNs >= 0n && unixNs <= REALTIME_NS_MAX;
}
