export { QUEUE_BYTES_MAX } from "./line-queue.ts";
export type { MessageKind } from "./line-queue.ts";
export { FLUSH_MS, StderrLog } from "./log.ts";
export type { Log, Report, StderrLogOptions } from "./log.ts";
export { announce, READINESS_MS } from "./readiness.ts";
export type { Announcement } from "./readiness.ts";
export { SharedSignals } from "./signals.ts";
export type { Signals } from "./signals.ts";
