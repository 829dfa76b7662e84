export { isClockTime, slewClock, stepClock } from "./adjust.ts";
export { OffsetInterval } from "./interval.ts";
export type { Exchange } from "./interval.ts";
export { ntp64FromUnix, unixFromNtp64 } from "./ntp64.ts";
export {
  formatOffset,
  OFFSET_RECORD_BYTES,
  parseOffset,
  readOffsetRecord,
} from "./offset-record.ts";
export { CLIENTS_MAX, RateLimit } from "./rate-limit.ts";
export type {
  ExchangeListener,
  ExchangeOutcome,
  SeriesOptions,
  SeriesOutcome,
  SyncWorld,
} from "./series.ts";
export { querySntp, SNTP_PORT } from "./sntp.ts";
export { formatSntpRequest, judgeSntpReply, SNTP_BYTES } from "./sntp-packet.ts";
export type { SntpReply } from "./sntp-packet.ts";
export { queryTaiclock, TAICLOCK_PORT } from "./taiclock.ts";
export {
  answerTaiclock,
  formatTaiclockRequest,
  judgeTaiclockReply,
  TAICLOCK_BYTES,
} from "./taiclock-packet.ts";
export { TaiclockServer } from "./taiclock-server.ts";
export type { TaiclockServerOptions } from "./taiclock-server.ts";
