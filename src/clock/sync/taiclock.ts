/** The TAICLOCK client: how far our clock is off that of a TAICLOCK server. */

import type { Tai } from "../index.ts";
import { measureOffset } from "./series.ts";
import type { ExchangeListener, SeriesOptions, SeriesOutcome, SyncWorld } from "./series.ts";
import {
  COOKIE_BYTES,
  formatTaiclockRequest,
  judgeTaiclockReply,
  TAICLOCK_BYTES,
} from "./taiclock-packet.ts";

export const TAICLOCK_PORT = 4014;

const OFFSET_MOST_NS = 2n * 0xffff_ffffn * 1_000_000_000n;

/** Measure our clock against a TAICLOCK server, as querySntp does against an NTP server. */
export async function queryTaiclock(
  world: SyncWorld,
  options: SeriesOptions,
  listener?: ExchangeListener<Tai>,
): Promise<SeriesOutcome<Tai>> {
  return measureOffset(
    world,
    {
      replyBytesMax: TAICLOCK_BYTES,
      offsetMostNs: OFFSET_MOST_NS,
      ask() {
        const cookie = world.randomBytes(COOKIE_BYTES);
        return {
          request: formatTaiclockRequest(cookie),
          judge: (packet) => judgeTaiclockReply(packet, cookie),
        };
      },
    },
    options,
    listener,
  );
}
