/**
 * `ucspi` as a library. Every folder of the package can also be imported by itself: `ucspi/access`,
 * `ucspi/net`, `ucspi/chain` and so on.
 *
 * @example
 * import { TcpServer } from "ucspi";
 *
 * await using server = new TcpServer({
 *   listen: { host: "127.0.0.1", port: 0 },
 *   rules: { cdb: "rules.cdb" },
 *   serve: ({ stream, remote }) => void stream.end("hello\n"),
 * });
 * const [{ port }] = await server.start();
 */

import { randomBytes } from "node:crypto";
import { querySntp as queryWith, SNTP_PORT } from "./clock/sync/index.ts";
import type { SeriesOptions, SeriesOutcome, SntpReply } from "./clock/sync/index.ts";
import { deadlineAfter, systemClock, systemClockWith } from "./clock/index.ts";
import { defaultSystem } from "./command/index.ts";
import { askIdent as askWith } from "./ident/index.ts";
import type { IdentOutcome, IdentQuestion } from "./ident/index.ts";
import { parseIp } from "./net/index.ts";
import { loadPosix } from "./posix/index.ts";
import { LocalServer as BareLocalServer, TcpServer as BareTcpServer } from "./ucspi/index.ts";
import type { LocalServerOptions, TcpServerOptions } from "./ucspi/index.ts";

/** A TCP server that runs a chain of words or a function for each connection. */
export class TcpServer extends BareTcpServer {
  constructor(options: TcpServerOptions) {
    super(options, defaultSystem());
  }
}

/**
 * A server on Unix-domain sockets that runs a chain of words or a function for each connection, and knows its
 * clients by user and group.
 *
 * @example
 * await using server = new LocalServer({
 *   listen: { path: "/run/greeter", mode: 0o770 },
 *   serve: ({ stream, client }) => void stream.end(`hello, user ${client.uid}\n`),
 * });
 * await server.start();
 */
export class LocalServer extends BareLocalServer {
  constructor(options: LocalServerOptions) {
    super(options, defaultSystem());
  }
}

/** A connection whose user is asked for, and how. */
export interface IdentLookup extends Omit<IdentQuestion, "deadline"> {
  /** For all of it, 10,000 unless given; Infinity for no limit but that of TCP. */
  readonly timeoutMs?: number;
}

const IDENT_TIMEOUT_MS = 10_000;

/**
 * Ask the machine at the other end of a connection which of its users owns it (RFC 1413), as
 * `s6-ident-client` does. Whatever the network and the server do is an outcome.
 *
 * @example
 * const outcome = await askIdent({ remote, local });
 * if (outcome.kind === "user") console.log(outcome.user);
 */
export async function askIdent(lookup: IdentLookup): Promise<IdentOutcome> {
  const { timeoutMs = IDENT_TIMEOUT_MS, ...question } = lookup;
  const deadline = deadlineAfter(systemClock, timeoutMs);
  return await askWith(loadPosix(), { ...question, deadline });
}

/** Which NTP server is asked, and how. */
export interface SntpQuery extends Omit<SeriesOptions, "server" | "deadline"> {
  /** An IP address. */
  readonly host: string;
  /** 123 unless given. */
  readonly port?: number;
  /** For all exchanges together, 10,000 unless given; Infinity for no limit. */
  readonly timeoutMs?: number;
}

/** The measurement of the clock after a series of exchanges with an NTP server. */
export type SntpOutcome = SeriesOutcome<SntpReply>;

const SNTP_TIMEOUT_MS = 10_000;

/**
 * Measure the clock of this machine against an NTP server, as `s6-sntpclock` does. Whatever the network and
 * the server do is an outcome; throws RangeError for a host that is no IP address.
 *
 * @example
 * const outcome = await querySntp({ host: "192.0.2.123", exchanges: 4 });
 * if (outcome.kind === "measured") console.log(`add ${outcome.offsetNs} ns`);
 */
export async function querySntp(query: SntpQuery): Promise<SntpOutcome> {
  const { host, port = SNTP_PORT, timeoutMs = SNTP_TIMEOUT_MS, ...options } = query;
  const address = parseIp(host);
  if (address === undefined) throw new RangeError(`Not an IP address: ${host}`);
  const posix = loadPosix();
  const clock = systemClockWith(() => posix.realtimeNs());
  const deadline = deadlineAfter(clock, timeoutMs);
  const series = { ...options, server: { address, port }, deadline };
  return await queryWith({ posix, clock, randomBytes }, series);
}

export { formatTai64n, parseTai64n, taiAt, taiFromUnix } from "./clock/index.ts";
export { taiFromUtc, utcFromTai } from "./clock/index.ts";
export type { Tai, Tai64n, Utc } from "./clock/index.ts";
export type { SntpReply } from "./clock/sync/index.ts";
export type { IdentOutcome } from "./ident/index.ts";
export type { KeyPairFiles, TlsFacts, TlsOptions } from "./tls/index.ts";
export type { CertificateRulesOption, Handler, ListenTarget } from "./ucspi/index.ts";
export { BindError } from "./ucspi/index.ts";
export type { LocalClient, LocalConnection, LocalHandler } from "./ucspi/index.ts";
export type { LocalListenTarget, LocalServerOptions } from "./ucspi/index.ts";
export type { RulesOption, TcpConnection, TcpServerOptions } from "./ucspi/index.ts";
export { formatIp, parseIp } from "./net/index.ts";
export type { Endpoint, IpAddress } from "./net/index.ts";
export { SystemError } from "./posix/index.ts";
