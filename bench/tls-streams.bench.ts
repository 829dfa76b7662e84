/**
 * The speed of one connection behind TLS, in each direction. With AES-128 all have the same to do, but
 * for the C suite there is another row: its usual build (BearSSL) has no TLS 1.3 and insists on ChaCha20
 * where a client offers it, as most do. That is what its users get.
 */

import { alternate, formatFailures, ratioOf } from "./support/servers.ts";
import type { Bench, LoadResult, Row, Subject, Trial } from "./support/servers.ts";
import { Kit, STREAM_MEGABYTES } from "./support/tls.ts";

export const question = "TLS throughput of one connection";

const ROUNDS = 5;

/** The offer of a client: everything, or AES-128 alone. */
const OFFERS = {
  all: "1.2",
  old: "1.2:ECDHE-ECDSA-AES128-GCM-SHA256",
  new: "1.3:TLS_AES_128_GCM_SHA256",
} as const;

type Offer = keyof typeof OFFERS;
type Direction = "receive" | "send";

const DIRECTIONS = [
  { what: "program to client", direction: "receive", program: "pour" },
  { what: "client to program", direction: "send", program: "drain" },
] as const;

export async function measure(bench: Bench): Promise<Row[]> {
  return Kit.with(bench, async (kit) => {
    const rows: Row[] = [];
    for (const { what, direction, program } of DIRECTIONS) {
      const [ours, c, stunnel] = [kit.ours(program), kit.original(program), kit.stunnel(program)];
      const trials = (subjects: readonly Subject[], offer: Offer): Trial[] =>
        subjects.map((subject) => trial(kit, subject, offer, direction));
      const results = await alternate(
        [
          ...trials([ours, ...c], "all"),
          ...trials([ours, ...c, ...stunnel], "old"),
          ...trials([ours, ...stunnel], "new"),
        ],
        ROUNDS,
      );
      const against = (peer: string, offer: Offer, goal: string): Row =>
        row(what, results.get(`ours ${offer}`), results.get(`${peer} ${offer}`), peer, goal);
      rows.push(
        against("C", "all", "at least 1.6"),
        against("C", "old", "-"),
        against("stunnel4", "old", "at least 0.9"),
        against("stunnel4", "new", "at least 0.9"),
      );
    }
    return rows;
  });
}

function trial(kit: Kit, subject: Subject, offer: Offer, direction: Direction): Trial {
  const load: Trial["measure"] = (server) =>
    kit.load(server, OFFERS[offer], direction, STREAM_MEGABYTES);
  return { ...subject, name: `${subject.name} ${offer}`, warmUp: load, measure: load };
}

function row(
  what: string,
  ours: LoadResult | undefined,
  peer: LoadResult | undefined,
  name: string,
  goal: string,
): Row {
  return {
    what: `${what}, against ${name === "C" ? "the C suite" : name}`,
    ours: speedOf(ours),
    peer: speedOf(peer),
    ratio: ratioOf(ours?.rate, peer?.rate),
    goal,
  };
}

function speedOf(result: LoadResult | undefined): string {
  if (result === undefined) return "absent";
  const { rate, cipher = "" } = result;
  return `${Math.round(rate)} MB/s with ${cipher}${formatFailures(result)}`;
}
