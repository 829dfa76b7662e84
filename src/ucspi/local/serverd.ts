/** s6-ipcserverd: the super-server of connections to Unix-domain sockets (local-services.md, section 6.3). */

import type { Launch } from "../../chain/index.ts";
import type { RefusalFormat } from "../log.ts";
import type { ServerdPlan } from "../serverd.ts";
import { logEvents } from "../serverd-log.ts";
import type { ConnectionLines } from "../serverd-log.ts";
import { previewLaunch } from "../serving/protocol.ts";
import { UNIX, UNIX_UNKNOWN } from "../serving/unix.ts";
import type { UnixPeer, UnixProtocol } from "../serving/unix.ts";

const NAME = "s6-ipcserverd";

export interface IpcServerdOptions {
  /** 0: fatal messages only; 1: warnings and rejections too; 2: every connection. */
  readonly verbosity: number;
  readonly announces: boolean;
  /** Ask for the user and group of clients; without, clients count as one, and no limit is on each. */
  readonly knowsPeers: boolean;
  readonly maxConnections: number;
  readonly maxPerUser: number;
  /** Milliseconds that draining waits for connections; undefined and Infinity: without end. */
  readonly drain: number | undefined;
  readonly refusals: RefusalFormat;
}

/** The super-server that these options ask for. */
export function ipcPlan(options: IpcServerdOptions): ServerdPlan<UnixPeer, string> {
  const { verbosity, knowsPeers, maxConnections, refusals } = options;
  const maxPerKey = knowsPeers ? Math.min(options.maxPerUser, maxConnections) : maxConnections;
  const log = { verbosity, maxConnections, maxPerKey, refusals };
  return {
    name: NAME,
    protocol: protocolOf(knowsPeers),
    socketKind: "Unix-domain",
    verbosity,
    maxConnections,
    maxPerKey,
    asksLocalAddress: false,
    drain: options.drain,
    announces: options.announces ? "always" : "no",
    closesListeners: true,
    endingSignals: "SIGTERM+SIGCONT",
    starting: () => "",
    announcement: () => "\n",
    events: (context) => logEvents(NAME, LINES, log, context),
  };
}

/** The launch of the program of a connection to the socket on descriptor 0. */
export function ipcPreview(
  launch: Launch,
  program: readonly string[],
  { knowsPeers }: Pick<IpcServerdOptions, "knowsPeers">,
): Launch {
  return previewLaunch(protocolOf(knowsPeers), launch, program);
}

function protocolOf(knowsPeers: boolean): UnixProtocol {
  return knowsPeers ? UNIX : UNIX_UNKNOWN;
}

const LINES: ConnectionLines<UnixPeer, string> = {
  accepted: ({ peer }, pid, count) =>
    `allow ${UNIX.label(peer)} pid ${pid} count ${told(peer, count)}`,
  ended: ({ peer }, pid, status) => `end pid ${pid} uid ${peer.credentials?.uid ?? "?"} ${status}`,
  rejected: ({ peer }, count) => `deny ${UNIX.label(peer)} count ${count}`,
  refusal: ({ peer, local: localPath }, limit) => ({
    uid: peer.credentials?.uid,
    gid: peer.credentials?.gid,
    remotePath: peer.path,
    localPath,
    by: "limit",
    reason: `${limit} of this user`,
  }),
};

/** Clients that are not known are not counted either. */
function told({ credentials }: UnixPeer, count: string): string {
  return credentials === undefined ? count.replace(/^\d+/, "?") : count;
}
