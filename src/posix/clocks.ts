/** The system clock. */

/** Calls on the system clock. */
export interface Clocks {
  /** CLOCK_REALTIME in nanoseconds since 1970. */
  realtimeNs(): bigint;
  setRealtimeNs(ns: bigint): void;
  /** adjtime(3): slew by this many microseconds; returns what an earlier slew had left to do. */
  adjtime(microseconds: bigint): bigint;
}

/** The exports of C for this family (`native/`). */
export interface ClocksAddon {
  realtime(into: Float64Array): void;
  setRealtime(ns: bigint): void;
  adjtime(microseconds: bigint): bigint;
}

const NS_PER_SECOND = 1_000_000_000n;

/** The calls of this kernel on the system clock. */
export function nativeClocks(addon: ClocksAddon): Clocks {
  const numbers = new Float64Array(2);
  return {
    realtimeNs(): bigint {
      addon.realtime(numbers);
      return BigInt(numbers[0] ?? 0) * NS_PER_SECOND + BigInt(numbers[1] ?? 0);
    },

    setRealtimeNs(ns: bigint): void {
      addon.setRealtime(ns);
    },

    adjtime(microseconds: bigint): bigint {
      return addon.adjtime(microseconds);
    },
  };
}
