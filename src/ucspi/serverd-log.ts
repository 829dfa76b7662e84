/** What a super-server logs of its connections, by verbosity (networking.md, section 5). */

import type { LinkContext } from "../chain/index.ts";
import type { MessageKind } from "../host/index.ts";
import type { Endpoint } from "../net/index.ts";
import { formatRefusal, formatStatus } from "./log.ts";
import type { RefusalFormat } from "./log.ts";
import { recordRefusal } from "./refusals.ts";
import type { ServerEvents } from "./serving/connection-server.ts";
import { TCP } from "./serving/tcp.ts";

export interface LogOptions {
  /** 0: fatal messages only; 1: warnings and rejections too; 2: every connection. */
  readonly verbosity: number;
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  readonly refusals: RefusalFormat;
}

/** Says something from a verbosity on. */
export type Say = (level: number, kind: MessageKind, text: string) => void;

export function speaker(
  name: string,
  verbosity: number,
  { report }: Pick<LinkContext, "report">,
): Say {
  return (level, kind, text) => {
    if (verbosity >= level) report(name, kind, text);
  };
}

type TcpEvents = ServerEvents<Endpoint, Endpoint>;

/** The events of a connection server as lines in the name of `name`. */
export function logEvents(name: string, options: LogOptions, context: LinkContext): TcpEvents {
  const { verbosity, maxConnections, refusals } = options;
  const maxPerAddress = Math.min(options.maxPerAddress, maxConnections);
  const say = speaker(name, verbosity, context);
  const events: TcpEvents = {
    dropped: (_, why) => say(1, "warning", `unable to ${why}`),
    acceptFailed: ({ message }) => say(1, "warning", `unable to accept: ${message}`),
    rejected(connection, count) {
      const { peer: remote, local } = connection;
      context.children.tellExecs();
      say(1, "info", `reject ${TCP.label(remote)} count ${count}/${maxPerAddress}`);
      if (refusals === undefined) return;
      const reason = `${count} of at most ${maxPerAddress} connections from this address`;
      const record = formatRefusal({ remote, local, by: "limit", reason }, refusals);
      recordRefusal(record, refusals, name, context);
    },
    full(isFull) {
      if (refusals === undefined || !isFull) return;
      context.report(name, "warning", `no room: ${maxConnections} connections are being served`);
    },
    faulted: (error) => context.report(name, "warning", `unable to serve: ${String(error)}`),
  };
  return verbosity < 2 ? events : { ...events, ...logEveryConnection(say, options, maxPerAddress) };
}

function logEveryConnection(
  say: Say,
  { maxConnections }: LogOptions,
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
