/**
 * A series of exchanges with one time server over UDP: what SNTP and TAICLOCK have in common. The
 * socket is connected, so that the kernel drops what others send; a datagram that does not answer
 * the request at hand is passed over, and the exchange goes on until its deadline.
 */

import { toSocketAddress } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { errnoOf } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { deadlineAfter, taiFromUnix, waitReady } from "../index.ts";
import type { Clock, Deadline, Tai } from "../index.ts";
import { OffsetInterval } from "./interval.ts";
import type { Exchange } from "./interval.ts";

/** The parts of the system that the clients use. */
export interface SyncWorld {
  readonly posix: Posix;
  /** Its wall clock is the one that is measured; it should tell nanoseconds (`systemClockWith`). */
  readonly clock: Clock;
  /** Unpredictable bytes: they are what keeps others from answering in the name of the server. */
  randomBytes(count: number): Uint8Array;
}

/** The server that is asked, and how often. */
export interface SeriesOptions {
  readonly server: Endpoint;
  /** The interface index of a link-local address. */
  readonly scope?: number;
  /** The number of exchanges to make, 10 unless given. */
  readonly exchanges?: number;
  /** For the answer of each, 2000 unless given; Infinity waits for ever. */
  readonly exchangeTimeoutMs?: number;
  /** Between two exchanges, none unless given. */
  readonly pauseMs?: number;
  /** For all of them together. */
  readonly deadline?: Deadline | undefined;
}

/** The judgement of a protocol about a datagram from the server. */
export type Judgement<Reply> =
  | {
      readonly kind: "answer";
      readonly received: Tai;
      readonly replied: Tai;
      readonly reply: Reply;
    }
  /** It does not answer this request, whichever host sent it. */
  | { readonly kind: "foreign"; readonly why: string }
  /** The server answers, but it cannot be used. */
  | { readonly kind: "unusable"; readonly why: string }
  /** The server wants no more requests. */
  | { readonly kind: "stop"; readonly why: string };

/** One request, and the judge of its answers. */
export interface Question<Reply> {
  readonly request: Uint8Array;
  judge(datagram: Uint8Array): Judgement<Reply>;
}

/** A protocol of one datagram each way. */
export interface TimeProtocol<Reply> {
  /** No answer that counts is longer. */
  readonly replyBytesMax: number;
  /** Offsets beyond this are not believed. */
  readonly offsetMostNs: bigint;
  ask(): Question<Reply>;
}

/** The result of one exchange. */
export type ExchangeOutcome<Reply> =
  | { readonly kind: "answered"; readonly exchange: Exchange; readonly reply: Reply }
  | { readonly kind: "failed"; readonly why: string; readonly isLast: boolean };

/** The result of a series. */
export type SeriesOutcome<Reply> =
  | {
      readonly kind: "measured";
      /** Nanoseconds to add to our clock. */
      readonly offsetNs: bigint;
      /** The width of the interval that the offset is in for certain, if the server is right. */
      readonly uncertaintyNs: bigint;
      /** The number of exchanges that succeeded. */
      readonly answers: number;
      /** The last answer. */
      readonly reply: Reply;
    }
  /** No exchange succeeded; why the last one did not. */
  | { readonly kind: "failed"; readonly why: string }
  /** The deadline of the series passed before its end. */
  | { readonly kind: "timedOut" };

/** Called for each exchange; they are numbered from 1. */
export type ExchangeListener<Reply> = (outcome: ExchangeOutcome<Reply>, number: number) => void;

const EXCHANGES = 10;
const EXCHANGE_TIMEOUT_MS = 2000;

/**
 * Measure the offset of our clock. Never throws for what a network or a server does; the socket is
 * closed when the promise resolves.
 */
export async function measureOffset<Reply>(
  world: SyncWorld,
  protocol: TimeProtocol<Reply>,
  options: SeriesOptions,
  listener: ExchangeListener<Reply> = () => {},
): Promise<SeriesOutcome<Reply>> {
  const { posix } = world;
  let fd: Fd | undefined;
  try {
    fd = connectTo(posix, options);
    return await makeExchanges({ world, protocol, options, fd }, listener);
  } catch (error) {
    return { kind: "failed", why: reasonOf(posix, error) };
  } finally {
    if (fd !== undefined) posix.close(fd);
  }
}

interface Series<Reply> {
  readonly world: SyncWorld;
  readonly protocol: TimeProtocol<Reply>;
  readonly options: SeriesOptions;
  readonly fd: Fd;
}

function connectTo(posix: Posix, { server, scope }: SeriesOptions): Fd {
  const fd = posix.socket(server.address.family === 4 ? "inet" : "inet6", "datagram");
  try {
    posix.connect(fd, toSocketAddress(server, scope));
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

async function makeExchanges<Reply>(
  series: Series<Reply>,
  listener: ExchangeListener<Reply>,
): Promise<SeriesOutcome<Reply>> {
  const { clock } = series.world;
  const { exchanges = EXCHANGES, pauseMs = 0, deadline } = series.options;
  const interval = new OffsetInterval(series.protocol.offsetMostNs);
  let measured: { readonly answers: number; readonly reply: Reply } | undefined;
  let why = "no exchange was asked for";
  for (let number = 1; number <= exchanges; number += 1) {
    if (number > 1) await pause(clock, pauseMs, deadline);
    if (deadline?.hasPassed() === true) return { kind: "timedOut" };
    const outcome = await exchangeOnce(series);
    if (deadline?.hasPassed() === true) return { kind: "timedOut" };
    listener(outcome, number);
    if (outcome.kind === "answered") {
      interval.narrow(outcome.exchange);
      measured = { answers: (measured?.answers ?? 0) + 1, reply: outcome.reply };
      continue;
    }
    ({ why } = outcome);
    if (outcome.isLast) break;
  }
  if (measured === undefined) return { kind: "failed", why };
  const { offsetNs, uncertaintyNs } = interval;
  return { kind: "measured", offsetNs, uncertaintyNs, ...measured };
}

/** Send a request and wait for its answer. */
async function exchangeOnce<Reply>({
  world,
  protocol,
  options,
  fd,
}: Series<Reply>): Promise<ExchangeOutcome<Reply>> {
  const { posix, clock } = world;
  const { exchangeTimeoutMs = EXCHANGE_TIMEOUT_MS } = options;
  const deadline = earlier(deadlineAfter(clock, exchangeTimeoutMs), options.deadline);
  const datagram = new Uint8Array(protocol.replyBytesMax);
  const { request, judge } = protocol.ask();
  let why: string | undefined;
  try {
    const sent = now(clock);
    posix.sendMessage(fd, request, []);
    while (await waitReady(posix, fd, { readable: true }, deadline)) {
      const message = posix.receiveMessage(fd, datagram);
      const returned = now(clock);
      if (message === undefined) continue;
      const verdict = judge(datagram.subarray(0, message.bytes));
      if (verdict.kind === "answer") {
        const { received, replied, reply } = verdict;
        return { kind: "answered", exchange: { sent, received, replied, returned }, reply };
      }
      ({ why } = verdict);
      if (verdict.kind !== "foreign") return failed(why, verdict.kind === "stop");
    }
    return failed(why ?? posix.strerror("ETIMEDOUT"), false);
  } catch (error) {
    return failed(reasonOf(posix, error), false);
  }
}

function failed(why: string, isLast: boolean): ExchangeOutcome<never> {
  return { kind: "failed", why, isLast };
}

/** The text of strerror(3) for an error of the system; other errors are thrown again. */
function reasonOf(posix: Posix, error: unknown): string {
  const code = errnoOf(error);
  if (code === undefined) throw error;
  return posix.strerror(code);
}

function now(clock: Clock): Tai {
  return taiFromUnix(clock.realtimeNs());
}

function earlier(one: Deadline | undefined, other: Deadline | undefined): Deadline | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.atMs < other.atMs ? one : other;
}

/** Until the pause is over, or the deadline has passed. */
async function pause(clock: Clock, pauseMs: number, deadline: Deadline | undefined): Promise<void> {
  const end = earlier(deadlineAfter(clock, pauseMs), deadline);
  if (end === undefined || end.hasPassed()) return;
  await new Promise<void>((resolve) => end.setTimer(resolve));
}
