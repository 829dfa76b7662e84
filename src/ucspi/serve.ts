/**
 * The life of s6-tcpserverd: take over the listening sockets, announce readiness, serve until a signal
 * says otherwise (networking.md, section 5).
 */

import { EXIT } from "../chain/index.ts";
import type { Launch, LinkContext, MessageKind } from "../chain/index.ts";
import { formatIp } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { encodeBytes, SystemError, writeFully } from "../posix/index.ts";
import type { Fd, Posix, SocketAddress } from "../posix/index.ts";
import { isListener, takeExtraListeners } from "./extra-listeners.ts";
import { formatRefusal, formatStatus } from "./log.ts";
import type { RefusalFormat } from "./log.ts";
import { recordRefusal } from "./refusals.ts";
import { childService } from "./serving/child-service.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import type { ServerEvents } from "./serving/connection-server.ts";
import { previewLaunch } from "./serving/protocol.ts";
import { TCP } from "./serving/tcp.ts";

const NAME = "s6-tcpserverd";

export interface ServeOptions {
  readonly verbosity: number;
  readonly announces: boolean;
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  /** Milliseconds that SIGTERM waits for connections; undefined: not at all. Infinity: without end. */
  readonly drain: number | undefined;
  readonly localAddress: boolean;
  readonly refusals: RefusalFormat;
}

/** Serve the listening socket on descriptor 0 until a signal ends it; the exit code. */
export async function serveTcp(
  launch: Launch,
  options: ServeOptions,
  context: LinkContext,
): Promise<number> {
  const { posix, report } = context;
  const say = speaker(options.verbosity, context);
  const stdin = 0 as Fd;
  const problem = problemOf(stdin, posix);
  if (problem !== undefined) {
    report(NAME, "fatal", problem);
    return EXIT.usage;
  }
  const extra = takeExtraListeners(launch.environment, stdin, isTcp, posix);
  if (extra.warning !== undefined) say(1, "warning", extra.warning);
  const listeners: [Fd, ...Fd[]] = [stdin, ...extra.fds];
  const local = prepareListeners(listeners, posix);
  const served = { ...launch, environment: extra.environment };
  const inner = { ...context, isBecoming: false };
  const failed = await context.chains.prepare(tcpPreview(served, served.argv), inner);
  if (failed !== undefined) return failed;
  say(2, "info", `starting - bound to ip ${formatIp(local.address)} port ${local.port}`);
  const server = new ConnectionServer({
    posix,
    clock: context.clock,
    protocol: TCP,
    listeners,
    maxConnections: options.maxConnections,
    maxPerKey: Math.min(options.maxPerAddress, options.maxConnections),
    asksLocalAddress: options.localAddress,
    service: childService(NAME, served, context, {
      protocol: TCP,
      // A log of every connection says "accept" only of programs that could be executed.
      awaitsExec: options.verbosity >= 2,
      shortage: (text) => say(1, "warning", text),
    }),
    events: logEvents(options, context),
  });
  const signalled = untilSignalled(server, options, context);
  // Whoever hears that we are ready may send a signal at once.
  announce(options.announces, local, context);
  say(2, "info", `status: 0/${options.maxConnections}`);
  await signalled;
  say(2, "info", "exiting");
  return EXIT.ok;
}

/** What the program of a connection to the socket on descriptor 0 would be born with. */
export function tcpPreview(launch: Launch, program: readonly string[]): Launch {
  return previewLaunch(TCP, launch, program);
}

/** Why the socket on standard input cannot be served; undefined when it can. */
function problemOf(stdin: Fd, posix: Posix): string | undefined {
  if (!posix.isOpen(stdin) || !posix.isSocket(stdin)) return "stdin is not a socket";
  if (!isTcp(posix.getsockname(stdin))) return "stdin is not a TCP socket";
  return isListener(stdin, isTcp, posix) ? undefined : "stdin is not a listening socket";
}

function isTcp(address: SocketAddress): boolean {
  return TCP.local(address) !== undefined;
}

type TcpEvents = ServerEvents<Endpoint, Endpoint>;
type TcpConnectionServer = ConnectionServer<Endpoint, Endpoint>;
type Say = (level: number, kind: MessageKind, text: string) => void;

function speaker(verbosity: number, { report }: LinkContext): Say {
  return (level, kind, text) => {
    if (verbosity >= level) report(NAME, kind, text);
  };
}

/** Make the sockets ours alone; the address of the first. */
function prepareListeners(listeners: readonly [Fd, ...Fd[]], posix: Posix): Endpoint {
  for (const fd of listeners) {
    posix.setCloseOnExec(fd, true);
    posix.setNonblocking(fd, true);
  }
  const local = TCP.local(posix.getsockname(listeners[0]));
  if (local === undefined) throw new TypeError("The first listener has changed its family");
  return local;
}

/** Tell readiness on descriptor 1, which is closed in any case. */
function announce(announces: boolean, local: Endpoint, { posix, report }: LinkContext): void {
  const stdout = 1 as Fd;
  try {
    if (announces) writeFully(posix, stdout, encodeBytes(`${local.port}\n`));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(NAME, "warning", `unable to write to stdout: ${error.message}`);
  }
  if (posix.isOpen(stdout)) posix.close(stdout);
}

function logEvents(options: ServeOptions, context: LinkContext): TcpEvents {
  const { verbosity, maxConnections, refusals } = options;
  const maxPerAddress = Math.min(options.maxPerAddress, maxConnections);
  const say = speaker(verbosity, context);
  const events: TcpEvents = {
    dropped: (_, why) => say(1, "warning", `unable to ${why}`),
    acceptFailed: ({ message }) => say(1, "warning", `unable to accept: ${message}`),
    rejected(connection, count) {
      const { peer: remote, local } = connection;
      say(1, "info", `reject ${TCP.label(remote)} count ${count}/${maxPerAddress}`);
      if (refusals === undefined) return;
      const reason = `${count} of at most ${maxPerAddress} connections from this address`;
      const record = formatRefusal({ remote, local, by: "limit", reason }, refusals);
      recordRefusal(record, refusals, NAME, context);
    },
    full(isFull) {
      if (refusals === undefined || !isFull) return;
      context.report(NAME, "warning", `no room: ${maxConnections} connections are being served`);
    },
    faulted: (error) => context.report(NAME, "warning", `unable to serve: ${String(error)}`),
  };
  return verbosity < 2 ? events : { ...events, ...logEveryConnection(say, options, maxPerAddress) };
}

function logEveryConnection(
  say: Say,
  { maxConnections }: ServeOptions,
  maxPerAddress: number,
): Pick<TcpEvents, "accepted" | "ended"> {
  return {
    accepted({ peer }, pid, count, total) {
      say(2, "info", `accept ${TCP.label(peer)} pid ${pid} count ${count}/${maxPerAddress}`);
      say(2, "info", `status: ${total}/${maxConnections}`);
    },
    ended(_, pid, status, { count, total }) {
      say(2, "info", `end pid ${pid} ${formatStatus(status)} count ${count}/${maxPerAddress}`);
      say(2, "info", `status: ${total}/${maxConnections}`);
    },
  };
}

const SIGKILL = 9;
const SIGTERM = 15;
const SIGCONT = 18;

/** Serve until a signal ends it. SIGTERM leaves the connections alone unless it is told to drain. */
async function untilSignalled(
  server: TcpConnectionServer,
  options: ServeOptions,
  context: LinkContext,
): Promise<void> {
  const say = speaker(options.verbosity, context);
  const { signals } = context;
  await new Promise<void>((resolve) => {
    let isDraining = false;
    async function drain(signal: string): Promise<void> {
      if (isDraining) return;
      isDraining = true;
      const ms =
        options.drain === undefined || options.drain === Infinity ? undefined : options.drain;
      say(2, "info", `received ${signal}, draining ${server.connections} connections`);
      if (!(await server.drain(ms))) terminate(server);
      resolve();
    }
    signals.on(["SIGTERM"], () => {
      if (options.drain !== undefined && !isDraining) {
        void drain("SIGTERM");
        return;
      }
      say(2, "info", "received SIGTERM, quitting");
      resolve();
    });
    signals.on(["SIGUSR2"], () => void drain("SIGUSR2"));
    signals.on(["SIGHUP"], () => {
      say(2, "info", "received SIGHUP, sending SIGTERM and SIGCONT to all connections");
      terminate(server);
    });
    signals.on(["SIGQUIT"], () => {
      say(
        2,
        "info",
        "received SIGQUIT, sending SIGTERM and SIGCONT to all connections and quitting",
      );
      terminate(server);
      resolve();
    });
    signals.on(["SIGABRT"], () => {
      say(2, "info", "received SIGABRT, sending SIGKILL to all connections and quitting");
      server.signal(SIGKILL);
      resolve();
    });
    server.start();
  });
  server.stop();
}

function terminate(server: TcpConnectionServer): void {
  server.signal(SIGTERM);
  server.signal(SIGCONT);
}
