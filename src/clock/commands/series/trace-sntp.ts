/** The messages of `s6-sntpclock -v3` about each exchange: the four instants, in all their forms. */

import { formatLocalTime } from "../../civil/index.ts";
import type { Zone } from "../../civil/index.ts";
import { formatTai64n, utcFromTai } from "../../index.ts";
import type { Tai } from "../../index.ts";
import { ntp64FromUnix } from "../../sync/index.ts";
import type { ExchangeListener, SntpReply } from "../../sync/index.ts";

export function traceSntp(
  say: (text: string) => void,
  zone: Zone,
  exchanges: number,
): ExchangeListener<SntpReply> {
  return (outcome, number) => {
    say(`NTP round-trip ${number}/${exchanges}`);
    if (outcome.kind !== "answered") return;
    const { receive, transmit, stratum, leap } = outcome.reply;
    say(`NTP stamp[1] received: ${hex(receive)}`);
    say(`NTP stamp[2] received: ${hex(transmit)}`);
    say(`server: stratum ${stratum}, leap second: ${leap}`);
    const { sent, received, replied, returned } = outcome.exchange;
    for (const [index, tai] of [sent, received, replied, returned].entries()) {
      say(`stamp[${index}] : taia: ${formatTai64n(tai).slice(1)}, ntp: ${ntpOf(tai)}`);
      say(`localdate: ${formatLocalTime(zone, tai)}`);
    }
  };
}

function ntpOf(tai: Tai): string {
  const stamp = ntp64FromUnix(utcFromTai(tai).unixNs);
  return stamp === undefined ? "none" : hex(stamp);
}

function hex(stamp: bigint): string {
  return stamp.toString(16).padStart(16, "0");
}
