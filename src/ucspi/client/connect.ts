/**
 * Making a TCP connection to one of several addresses: one after another in two passes, as the C suite
 * does it (networking.md, section 6), or overlapping (RFC 8305).
 */

import { deadlineAfter } from "../../clock/index.ts";
import type { Clock, Deadline } from "../../clock/index.ts";
import { IP4_ANY, IP6_ANY, toSocketAddress } from "../../net/index.ts";
import type { IpAddress } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import type { ConnectTimes } from "./options.ts";

export interface ConnectRequest {
  readonly addresses: readonly IpAddress[];
  readonly port: number;
  /** The local end; an undefined address is the wildcard of the family. */
  readonly localIp: IpAddress | undefined;
  readonly localPort: number;
  readonly times: ConnectTimes;
  readonly deadline: Deadline | undefined;
}

/** A nonblocking, connected socket, or why each address did not answer. */
export type Connected =
  | { readonly kind: "connected"; readonly fd: Fd; readonly address: IpAddress }
  | { readonly kind: "failed"; readonly failures: readonly ConnectFailure[] };

export interface ConnectFailure {
  readonly address: IpAddress;
  /** The errno name: ETIMEDOUT when time ran out. */
  readonly code: string;
}

/** The parameters of all attempts of one run. */
interface Plan extends ConnectRequest {
  /** Attempts that overlap may be bound to one and the same port, which they then have to share. */
  readonly sharesPort: boolean;
}

/** The time until the next attempt begins (RFC 8305 section 8, Connection Attempt Delay). */
const ATTEMPT_DELAY_MS = 250;

/** The result of one attempt: a socket, or an errno name. */
type Attempt = Fd | string;

/** Connecting as a value that may be given up. */
interface Attempting {
  readonly result: Promise<Attempt>;
  /** End it now: its socket, even one that is connected by then, is closed. */
  abandon(): void;
}

/** Try each address for x, then each once more for y. Throws SystemError when a bind fails. */
export async function connectInTurn(
  posix: Posix,
  clock: Clock,
  request: ConnectRequest,
): Promise<Connected> {
  const { addresses, times } = request;
  const total = times.firstMs + times.secondMs;
  if (addresses.length === 1) return onePass(posix, clock, request, addresses, total);
  const first = await onePass(posix, clock, request, addresses, times.firstMs);
  if (first.kind === "connected" || times.secondMs === 0) return first;
  const again = first.failures.map(({ address }) => address);
  return onePass(posix, clock, request, again, times.secondMs);
}

async function onePass(
  posix: Posix,
  clock: Clock,
  request: ConnectRequest,
  addresses: readonly IpAddress[],
  eachMs: number,
): Promise<Connected> {
  const plan: Plan = { ...request, sharesPort: false };
  const failures: ConnectFailure[] = [];
  for (const address of addresses) {
    const until = earlier(deadlineAfter(clock, eachMs), request.deadline);
    const result = await attempt(posix, plan, address, until).result;
    if (typeof result === "number") return { kind: "connected", fd: result, address };
    failures.push({ address, code: result });
  }
  return { kind: "failed", failures };
}

/** Start attempts 250 ms apart, or as soon as the one before failed; the first to succeed wins. */
export async function connectOverlapping(
  posix: Posix,
  clock: Clock,
  request: ConnectRequest,
): Promise<Connected> {
  const plan: Plan = { ...request, sharesPort: true };
  const { times, deadline } = request;
  const until = earlier(deadlineAfter(clock, times.firstMs + times.secondMs), deadline);
  const failures: ConnectFailure[] = [];
  const running = new Map<IpAddress, Attempting>();
  const waiting = interleaveFamilies(request.addresses);
  try {
    while (waiting.length > 0 || running.size > 0) {
      const next = waiting.shift();
      if (next !== undefined) running.set(next, attempt(posix, plan, next, until));
      const pause = waiting.length === 0 ? undefined : deadlineAfter(clock, ATTEMPT_DELAY_MS);
      const finished = await firstOf(running, pause);
      if (finished === undefined) continue;
      const { address, result } = finished;
      running.delete(address);
      if (typeof result === "number") return { kind: "connected", fd: result, address };
      failures.push({ address, code: result });
    }
    return { kind: "failed", failures };
  } finally {
    for (const { abandon } of running.values()) abandon();
  }
}

interface Finished {
  readonly address: IpAddress;
  readonly result: Attempt;
}

/** The first attempt to end, or undefined when `pause` is over before any has. */
async function firstOf(
  running: ReadonlyMap<IpAddress, Attempting>,
  pause: Deadline | undefined,
): Promise<Finished | undefined> {
  const attempts = Array.from(running, async ([address, { result }]): Promise<Finished> => {
    return { address, result: await result };
  });
  if (pause === undefined) return Promise.race(attempts);
  let cancel: () => void = () => undefined;
  const over = new Promise<undefined>((resolve) => {
    const timer = pause.setTimer(() => resolve(undefined));
    cancel = () => timer.cancel();
  });
  const finished = await Promise.race([...attempts, over]);
  cancel();
  return finished;
}

/** IPv6, IPv4, IPv6, ...: the family of the first address leads (RFC 8305 section 4). */
function interleaveFamilies(addresses: readonly IpAddress[]): IpAddress[] {
  const lead = addresses.filter(({ family }) => family === addresses[0]?.family);
  const rest = addresses.filter(({ family }) => family !== addresses[0]?.family);
  const mixed: IpAddress[] = [];
  for (let at = 0; at < Math.max(lead.length, rest.length); at += 1) {
    mixed.push(...lead.slice(at, at + 1), ...rest.slice(at, at + 1));
  }
  return mixed;
}

function attempt(
  posix: Posix,
  plan: Plan,
  address: IpAddress,
  until: Deadline | undefined,
): Attempting {
  const fd = boundSocket(posix, plan, address);
  const { promise, resolve } = withResolvers<Attempt>();
  let isOver = false;
  function finish(code: string | undefined): void {
    if (isOver) return;
    isOver = true;
    watch?.close();
    timer?.cancel();
    if (code !== undefined) posix.close(fd);
    resolve(code ?? fd);
  }
  const begun = begin(posix, fd, plan, address);
  const watch =
    begun === "underWay"
      ? posix.watch(fd, { writable: true }, () => finish(posix.socketError(fd)))
      : undefined;
  const timer = begun === "underWay" ? until?.setTimer(() => finish("ETIMEDOUT")) : undefined;
  if (begun !== "underWay") finish(begun === "done" ? undefined : begun);
  return { result: promise, abandon: () => giveUp(posix, promise, finish) };
}

/** An attempt that has succeeded unnoticed still has a socket to close. */
function giveUp(posix: Posix, promise: Promise<Attempt>, finish: (code: string) => void): void {
  finish("ECANCELED");
  void promise.then((result) => {
    if (typeof result === "number") posix.close(result);
  });
}

/** "done", "underWay", or the errno name of a connect that failed at once. */
function begin(posix: Posix, fd: Fd, { port }: ConnectRequest, address: IpAddress): string {
  try {
    return posix.connect(fd, toSocketAddress({ address, port })) ? "done" : "underWay";
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return error.code;
  }
}

function boundSocket(posix: Posix, plan: Plan, address: IpAddress): Fd {
  const any = address.family === 4 ? IP4_ANY : IP6_ANY;
  const local = plan.localIp ?? any;
  const fd = posix.socket(address.family === 4 ? "inet" : "inet6", "stream");
  try {
    if (plan.sharesPort && plan.localPort !== 0) posix.setReuseAddress(fd, true);
    posix.bind(fd, toSocketAddress({ address: local, port: plan.localPort }));
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

function earlier(a: Deadline | undefined, b: Deadline | undefined): Deadline | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.atMs <= b.atMs ? a : b;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
