export { Deadline, deadlineAfter, systemClock, systemClockWith } from "./clock.ts";
export type { Clock, Timer } from "./clock.ts";
