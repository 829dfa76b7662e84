/**
 * The life of s6-tcpserverd: take over the listening sockets, announce readiness, serve until a signal
 * says otherwise (networking.md, section 5).
 */

import { Environment, EXIT, withEnvironment } from "../chain/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import { announce } from "../host/index.ts";
import type { MessageKind } from "../host/index.ts";
import { formatIp, fromSocketAddress, tcpServerEdits } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { encodeBytes } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { childService } from "./serving/child-service.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import type { ServerEvents } from "./serving/connection-server.ts";
import { takeExtraListeners } from "./extra-listeners.ts";
import { formatRefusal, formatStatus, joinEndpoint } from "./log.ts";
import type { RefusalFormat } from "./log.ts";
import { recordRefusal } from "./refusals.ts";

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
  if (!posix.isOpen(stdin) || !posix.isSocket(stdin)) {
    report(NAME, "fatal", "stdin is not a socket");
    return EXIT.usage;
  }
  const extra = takeExtraListeners(launch.environment, posix);
  const listeners = [stdin, ...extra.fds];
  const local = prepareListeners(listeners, posix);
  if (local === undefined) {
    report(NAME, "fatal", "stdin is not a TCP socket");
    return EXIT.usage;
  }
  const served = { ...launch, environment: extra.environment };
  const inner = { ...context, isBecoming: false };
  const failed = await context.chains.prepare(tcpPreview(served, served.argv), inner);
  if (failed !== undefined) return failed;
  say(2, "info", `starting - bound to ip ${formatIp(local.address)} port ${local.port}`);
  const server = new ConnectionServer({
    posix,
    clock: context.clock,
    listeners,
    maxConnections: options.maxConnections,
    maxPerAddress: Math.min(options.maxPerAddress, options.maxConnections),
    asksLocalAddress: options.localAddress,
    service: childService(NAME, served, context, {
      // A log of every connection says "accept" only of programs that could be executed.
      awaitsExec: options.verbosity >= 2,
      struggles: (text) => say(1, "warning", text),
    }),
    events: logEvents(options, context),
  });
  const signalled = untilSignalled(server, options, context);
  // Whoever hears that we are ready may send a signal at once.
  announcePort(options.announces ? local.port : undefined, context);
  say(2, "info", `status: 0/${options.maxConnections}`);
  await signalled;
  say(2, "info", "exiting");
  return EXIT.ok;
}

/** What the program of a connection to the socket on descriptor 0 would be born with. */
export function tcpPreview(launch: Launch, program: readonly string[]): Launch {
  const nobody: Endpoint = { address: { family: 4, bytes: new Uint8Array(4) }, port: 0 };
  const edits = tcpServerEdits({ local: nobody, remote: nobody, connectionNumber: 0 });
  const placeholders = edits.map(({ name, value }) => ({
    name,
    value: name === "PROTO" || name === "TCPCONNNUM" ? value : `<${name}>`,
  }));
  const environment = Environment.of(launch.environment.strings());
  return withEnvironment({ ...launch, environment, argv: program }, placeholders);
}

type Say = (level: number, kind: MessageKind, text: string) => void;

function speaker(verbosity: number, { report }: LinkContext): Say {
  return (level, kind, text) => {
    if (verbosity >= level) report(NAME, kind, text);
  };
}

/** Make the sockets ours alone; the address of the first, or undefined if it has none of IP. */
function prepareListeners(listeners: readonly Fd[], posix: Posix): Endpoint | undefined {
  for (const fd of listeners) {
    posix.setCloseOnExec(fd, true);
    posix.setNonblocking(fd, true);
  }
  const [first] = listeners;
  return first === undefined ? undefined : fromSocketAddress(posix.getsockname(first));
}

/** Tell readiness, if it is to be told, on descriptor 1, which is closed in any case. */
function announcePort(port: number | undefined, context: LinkContext): void {
  const stdout = 1 as Fd;
  if (!context.posix.isOpen(stdout)) return;
  announce(context, {
    fd: stdout,
    bytes: encodeBytes(port === undefined ? "" : `${port}\n`),
    failed: (why) => context.report(NAME, "warning", `unable to write to stdout: ${why}`),
  });
}

function logEvents(options: ServeOptions, context: LinkContext): ServerEvents {
  const { verbosity, maxConnections, refusals } = options;
  const maxPerAddress = Math.min(options.maxPerAddress, maxConnections);
  const say = speaker(verbosity, context);
  const events: ServerEvents = {
    dropped: (_, why) => say(1, "warning", `unable to ${why}`),
    acceptFailed: ({ message }) => say(1, "warning", `unable to accept: ${message}`),
    rejected(connection, count) {
      const { remote, local } = connection;
      say(1, "info", `reject ${joinEndpoint(remote)} count ${count}/${maxPerAddress}`);
      if (refusals === undefined) return;
      const reason = `${count} of at most ${maxPerAddress} connections from this address`;
      const record = formatRefusal({ remote, local, by: "limit", reason }, refusals);
      recordRefusal(record, refusals, NAME, context);
    },
    full(isFull) {
      if (refusals === undefined || !isFull) return;
      context.report(NAME, "warning", `no room: ${maxConnections} connections are being served`);
    },
  };
  return verbosity < 2 ? events : { ...events, ...logEveryConnection(say, options, maxPerAddress) };
}

function logEveryConnection(
  say: Say,
  { maxConnections }: ServeOptions,
  maxPerAddress: number,
): ServerEvents {
  return {
    accepted({ remote }, pid, count, total) {
      say(2, "info", `accept ${joinEndpoint(remote)} pid ${pid} count ${count}/${maxPerAddress}`);
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
  server: ConnectionServer,
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

function terminate(server: ConnectionServer): void {
  server.signal(SIGTERM);
  server.signal(SIGCONT);
}
