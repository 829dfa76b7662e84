/** s6-tcpserverd: the super-server of TCP connections (networking.md, section 5). */

import type { Launch } from "../chain/index.ts";
import { formatIp } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import type { RefusalFormat } from "./log.ts";
import type { ServerdPlan } from "./serverd.ts";
import { logEvents } from "./serverd-log.ts";
import type { ConnectionLines } from "./serverd-log.ts";
import { previewLaunch } from "./serving/protocol.ts";
import { TCP } from "./serving/tcp.ts";

const NAME = "s6-tcpserverd";

export interface TcpServerdOptions {
  /** 0: fatal messages only; 1: warnings and rejections too; 2: every connection. */
  readonly verbosity: number;
  readonly announces: boolean;
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  /** Milliseconds that draining waits for connections; undefined and Infinity: without end. */
  readonly drain: number | undefined;
  readonly localAddress: boolean;
  readonly refusals: RefusalFormat;
}

/** The launch of the program of a connection to the socket on descriptor 0. */
export function tcpPreview(launch: Launch, program: readonly string[]): Launch {
  return previewLaunch(TCP, launch, program);
}

/** The super-server that these options ask for. */
export function tcpPlan(options: TcpServerdOptions): ServerdPlan<Endpoint, Endpoint> {
  const { verbosity, maxConnections, refusals } = options;
  const maxPerKey = Math.min(options.maxPerAddress, maxConnections);
  const log = { verbosity, maxConnections, maxPerKey, refusals };
  return {
    name: NAME,
    protocol: TCP,
    socketKind: "TCP",
    verbosity,
    maxConnections,
    maxPerKey,
    asksLocalAddress: options.localAddress,
    drain: options.drain,
    announces: options.announces ? "ifOpen" : "no",
    closesListeners: false,
    endingSignals: "SIGTERM and SIGCONT",
    starting: ({ address, port }) => ` - bound to ip ${formatIp(address)} port ${port}`,
    announcement: ({ port }) => `${port}\n`,
    events: (context) => logEvents(NAME, LINES, log, context),
  };
}

const LINES: ConnectionLines<Endpoint, Endpoint> = {
  accepted: ({ peer }, pid, count) => `accept ${TCP.label(peer)} pid ${pid} count ${count}`,
  ended: (_, pid, status, count) => `end pid ${pid} ${status} count ${count}`,
  rejected: ({ peer }, count) => `reject ${TCP.label(peer)} count ${count}`,
  refusal: ({ peer: remote, local }, limit) => ({
    remote,
    local,
    by: "limit",
    reason: `${limit} from this address`,
  }),
};
