/** The run of s6-sntpclock and of s6-taiclock: messages, exit codes and output. */

import { randomBytes } from "node:crypto";
import { EXIT } from "../../../chain/index.ts";
import { Fatal } from "../../../command/index.ts";
import type { CommandContext } from "../../../command/index.ts";
import { parseIp } from "../../../net/index.ts";
import { UsageError } from "../../../options/index.ts";
import { deadlineAfter, systemClockWith } from "../../index.ts";
import { formatOffset } from "../../sync/index.ts";
import type {
  ExchangeListener,
  SeriesOptions,
  SeriesOutcome,
  SyncWorld,
} from "../../sync/index.ts";
import { writeOutput } from "../offset/write-output.ts";
import type { SeriesValues } from "./options.ts";

/** The verbosity from which on there are messages on a refused offset, on failures, and on each exchange. */
const VERBOSITY = { warnings: 1, failures: 2, trace: 3 } as const;

const NS_PER_MS = 1_000_000n;

/** A client: how it is asked, and what messages call it. */
export interface SeriesClient<Reply> {
  /** `NTP server`. */
  readonly server: string;
  /** `SNTP`: of the exchanges of a series. */
  readonly series: string;
  /** `NTP`: of a round-trip. */
  readonly trip: string;
  query(
    world: SyncWorld,
    options: SeriesOptions,
    listener: ExchangeListener<Reply>,
  ): Promise<SeriesOutcome<Reply>>;
  /** Called for each exchange, before its message. */
  readonly trace?: ExchangeListener<Reply>;
}

/** Says something on stderr. */
type Say = (kind: "info" | "warning", text: string) => void;

/** The facts that the parts of a run share. */
interface Run<Reply> {
  readonly client: SeriesClient<Reply>;
  readonly values: SeriesValues;
  readonly say: Say;
}

/** Run a series and print the offset that it measured; the exit code. Throws Fatal. */
export async function runSeries<Reply>(
  name: string,
  client: SeriesClient<Reply>,
  { posix, report }: CommandContext,
  { values, ip }: { readonly values: SeriesValues; readonly ip: string },
): Promise<number> {
  const address = parseIp(ip);
  if (address === undefined) throw new UsageError(`not an IP address: ${ip}`, true);
  const run: Run<Reply> = { client, values, say: (kind, text) => report(name, kind, text) };
  const clock = systemClockWith(() => posix.realtimeNs());
  const outcome = await client.query(
    { posix, clock, randomBytes },
    {
      server: { address, port: values.port },
      exchanges: values.exchanges,
      exchangeTimeoutMs: values.exchangeTimeoutMs ?? Infinity,
      pauseMs: values.pauseMs,
      deadline: deadlineAfter(clock, values.totalTimeoutMs),
    },
    listenerOf(run),
  );
  if (outcome.kind === "timedOut") return timedOut(run, posix.strerror("ETIMEDOUT"));
  if (outcome.kind === "failed") {
    throw new Fatal(EXIT.refused, `unable to contact ${client.server} at ${ip}: ${outcome.why}`);
  }
  checkUncertainty(run, outcome);
  writeOutput(posix, formatOffset(outcome.offsetNs));
  return EXIT.ok;
}

function listenerOf<Reply>({ client, values, say }: Run<Reply>): ExchangeListener<Reply> {
  return (outcome, number) => {
    if (values.verbosity >= VERBOSITY.trace) client.trace?.(outcome, number);
    if (outcome.kind === "answered" || values.verbosity < VERBOSITY.failures) return;
    const trip = `${client.trip} round-trip ${number}/${values.exchanges}`;
    say("info", `${trip} failed: ${outcome.why}`);
  };
}

function timedOut<Reply>({ client, values }: Run<Reply>, why: string): number {
  if (values.verbosity < VERBOSITY.warnings) return EXIT.refused;
  const series = `unable to complete series of ${client.series} exchanges`;
  throw new Fatal(EXIT.refused, `${series}: ${why}`);
}

/** Warn of failed exchanges; throw Fatal where the offset is too uncertain to be used. */
function checkUncertainty<Reply>(
  { values, say }: Run<Reply>,
  { answers, uncertaintyNs }: Extract<SeriesOutcome<Reply>, { kind: "measured" }>,
): void {
  const { verbosity, exchanges } = values;
  if (answers < exchanges && verbosity >= VERBOSITY.failures) {
    const succeeded = `only ${answers} server exchanges succeeded out of ${exchanges}`;
    say("warning", `${succeeded} - uncertainty may be higher than expected`);
  }
  const mostNs = BigInt(values.uncertaintyMaxMs) * NS_PER_MS;
  if (uncertaintyNs <= mostNs) return;
  if (verbosity >= VERBOSITY.warnings) {
    say("warning", `maximum acceptable uncertainty: ${hexOf(mostNs)}`);
    say("warning", `current calculated uncertainty: ${hexOf(uncertaintyNs)}`);
  }
  if (!values.ignoresUncertainty) throw new Fatal(EXIT.system, "time uncertainty too large");
}

/** As an offset record in hexadecimal, the form of the C suite. */
function hexOf(ns: bigint): string {
  return Buffer.from(formatOffset(ns)).toString("hex");
}
