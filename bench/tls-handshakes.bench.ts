/**
 * The TLS connections a second, with a program and with a function for each, and how
 * long does a client wait? Client, version and certificate are the same for everyone. The C suite's usual
 * build (BearSSL) has no TLS 1.3: it is compared with in TLS 1.2.
 */

import { join } from "node:path";
import { alternate, rateRow, startSubject, tailRow } from "./support/servers.ts";
import type { Bench, Row, Subject, Trial } from "./support/servers.ts";
import { Kit } from "./support/tls.ts";

export const question = "TLS handshakes";

const ROUNDS = 5;
const CONNECTIONS = 800;
/** So many until everything that is compiled on demand has been. */
const WARM_UP = 3000;
const CONCURRENCY = 20;

type Version = "1.2" | "1.3";
type Mode = "full" | "resume";

/**
 * With a key on P-256 to sign is cheap, and TLS 1.3 agrees on new keys when it resumes too: there is
 * little to be saved. With one of RSA there is more.
 */
export async function measure(bench: Bench): Promise<Row[]> {
  const keys = [
    ["p256", "P-256"],
    ["rsa2048", "RSA-2048"],
  ] as const;
  const rows: Row[] = [];
  for (const [key, name] of keys) {
    const these = await Kit.with(bench, programRows, key);
    rows.push(...these.map((row) => ({ ...row, what: `${name}: ${row.what}` })));
  }
  return [...rows, ...(await Kit.with(bench, (kit) => handlerRows(kit, bench)))];
}

async function programRows(kit: Kit): Promise<Row[]> {
  const ours = kit.ours("hello");
  const stunnel = kit.stunnel("hello");
  const trials = [
    ...[ours, ...kit.original("hello"), ...stunnel].map((subject) => trial(kit, subject, "1.2")),
    ...[ours, ...stunnel].map((subject) => trial(kit, subject, "1.3")),
    trial(kit, ours, "1.2", "resume"),
    trial(kit, ours, "1.3", "resume"),
  ];
  const results = await alternate(trials, ROUNDS);
  const of = (name: string) => results.get(name);
  const [ours12, ours13] = [of("ours 1.2 full"), of("ours 1.3 full")];
  const [resumed12, resumed13] = [of("ours 1.2 resume"), of("ours 1.3 resume")];
  const [c12, stunnel12, stunnel13] = [
    of("C 1.2 full"),
    of("stunnel4 1.2 full"),
    of("stunnel4 1.3 full"),
  ];
  return [
    rateRow("a program, TLS 1.2, against the C suite", ours12, c12, "at least 1.3"),
    rateRow("a program, TLS 1.2, against stunnel4 with exec", ours12, stunnel12, "at least 2"),
    rateRow("a program, TLS 1.3, against stunnel4 with exec", ours13, stunnel13, "at least 2"),
    rateRow("the same resumed, TLS 1.2, against our full", resumed12, ours12, "at least 1.5"),
    rateRow("the same resumed, TLS 1.3, against our full", resumed13, ours13, "at least 1.5"),
    tailRow("p99 of connect to first word, TLS 1.2, the C suite", ours12, c12, "at most 1"),
    tailRow("p99 of connect to first word, TLS 1.2, stunnel4", ours12, stunnel12, "at most 1"),
    tailRow("p99 of connect to first word, TLS 1.3, stunnel4", ours13, stunnel13, "at most 1"),
  ];
}

/** The others are proxies, and have a server behind them that does nothing but say hello. */
async function handlerRows(kit: Kit, { root }: Bench): Promise<Row[]> {
  const script = join(root, "bench", "support", "bare-handler.mjs");
  const backend = await startSubject({ name: "backend", words: [process.execPath, script] });
  const { port } = backend;
  const subjects = [
    kit.ourHandler(),
    kit.bareHandler(),
    ...kit.hitchTo(port),
    ...kit.stunnelTo(port),
  ];
  const results = await alternate(
    subjects.map((subject) => trial(kit, subject, "1.3")),
    ROUNDS,
  );
  await backend.stop();
  const [ours, bare, hitch, stunnel] = ["ours", "node:tls", "hitch", "stunnel4"].map((name) =>
    results.get(`${name} 1.3 full`),
  );
  return [
    rateRow("a function, TLS 1.3, against a bare node:tls server", ours, bare, "at least 0.95"),
    rateRow("a function, TLS 1.3, against hitch, one worker", ours, hitch, "at least 0.8"),
    rateRow("a function, TLS 1.3, against stunnel4", ours, stunnel, "at least 2.5"),
  ];
}

function trial(kit: Kit, subject: Subject, version: Version, mode: Mode = "full"): Trial {
  return {
    ...subject,
    name: `${subject.name} ${version} ${mode}`,
    warmUp: (server) => kit.load(server, version, mode, WARM_UP, CONCURRENCY),
    measure: (server) => kit.load(server, version, mode, CONNECTIONS, CONCURRENCY),
  };
}
