/** The SNTP client: how far our clock is off that of an NTP server. */

import { NTP64_BYTES } from "./ntp64.ts";
import { measureOffset } from "./series.ts";
import type { ExchangeListener, SeriesOptions, SeriesOutcome, SyncWorld } from "./series.ts";
import { formatSntpRequest, judgeSntpReply, SNTP_BYTES } from "./sntp-packet.ts";
import type { SntpReply } from "./sntp-packet.ts";

export const SNTP_PORT = 123;

/** All that NTP timestamps can tell; the C suite stops at half of it. */
const OFFSET_MOST_NS = (1n << 32n) * 1_000_000_000n;

/**
 * Measure our clock against an SNTP server, by a series of exchanges that narrows the offset down. The
 * answers are checked: they have to carry the random number of the request, and come from a server that
 * is synchronised. A kiss-o'-death ends the series.
 *
 * @example
 * const outcome = await querySntp(world, {
 *   server: { address: parseIp("192.0.2.123"), port: SNTP_PORT },
 *   exchanges: 4,
 * });
 * if (outcome.kind === "measured") console.log(`${outcome.offsetNs} ± ${outcome.uncertaintyNs / 2n} ns`);
 */
export async function querySntp(
  world: SyncWorld,
  options: SeriesOptions,
  listener?: ExchangeListener<SntpReply>,
): Promise<SeriesOutcome<SntpReply>> {
  return measureOffset(
    world,
    {
      replyBytesMax: SNTP_BYTES,
      offsetMostNs: OFFSET_MOST_NS,
      ask() {
        const nonce = world.randomBytes(NTP64_BYTES);
        return {
          request: formatSntpRequest(nonce),
          judge: (packet) => judgeSntpReply(packet, nonce),
        };
      },
    },
    options,
    listener,
  );
}
