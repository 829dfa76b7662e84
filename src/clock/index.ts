export { Deadline, deadlineAfter, systemClock, systemClockWith } from "./clock.ts";
export type { Clock, Timer } from "./clock.ts";
export { leapStateAt, taiMinusUnix } from "./leap-seconds.ts";
export type { LeapState } from "./leap-seconds.ts";
export { floorDivide, NS_PER_SECOND, taiAt, taiFromUnix, taiFromUtc, utcFromTai } from "./tai.ts";
export type { Tai, Utc } from "./tai.ts";
export {
  formatTai64n,
  packTai64n,
  parseTai64n,
  TAI64N_BYTES,
  TAI64N_CHARACTERS,
  unpackTai64n,
} from "./tai64n.ts";
export type { Tai64n } from "./tai64n.ts";
export { waitReady } from "./wait-ready.ts";
