/** The log of a super-server about its connections, by verbosity (networking.md, section 5). */

import type { LinkContext } from "../chain/index.ts";
import type { MessageKind } from "../host/index.ts";
import { formatRefusal, formatStatus } from "./log.ts";
import type { LocalRefusal, Refusal, RefusalFormat } from "./log.ts";
import { recordRefusal } from "./refusals.ts";
import type { Connection } from "./serving/connection.ts";
import type { ServerEvents } from "./serving/connection-server.ts";

export interface LogOptions {
  /** 0: fatal messages only; 1: warnings and rejections too; 2: every connection. */
  readonly verbosity: number;
  readonly maxConnections: number;
  /** The most connections of one client, by whatever clients are told apart. */
  readonly maxPerKey: number;
  readonly refusals: RefusalFormat;
}

/** The lines about one connection in the words of its family. `count` is "3/40", where the maximum is 40. */
export interface ConnectionLines<Peer, Local> {
  accepted(connection: Connection<Peer, Local>, pid: number, count: string): string;
  /** `status` is "exitcode 0" or "signal 9". */
  ended(connection: Connection<Peer, Local>, pid: number, status: string, count: string): string;
  rejected(connection: Connection<Peer, Local>, count: string): string;
  /** The record of a rejection; `limit` is "3 of at most 3 connections". */
  refusal(connection: Connection<Peer, Local>, limit: string): Refusal | LocalRefusal;
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

/** The events of a connection server as lines in the name of `name`. */
export function logEvents<Peer, Local>(
  name: string,
  lines: ConnectionLines<Peer, Local>,
  options: LogOptions,
  context: LinkContext,
): ServerEvents<Peer, Local> {
  const { verbosity, maxConnections, maxPerKey, refusals } = options;
  const say = speaker(name, verbosity, context);
  const events: ServerEvents<Peer, Local> = {
    dropped: (_, why) => say(1, "warning", `unable to ${why}`),
    acceptFailed: ({ message }) => say(1, "warning", `unable to accept: ${message}`),
    rejected(connection, count) {
      context.children.tellExecs();
      say(1, "info", lines.rejected(connection, `${count}/${maxPerKey}`));
      if (refusals === undefined) return;
      const refusal = lines.refusal(connection, `${count} of at most ${maxPerKey} connections`);
      recordRefusal(formatRefusal(refusal, refusals), refusals, name, context);
    },
    full(isFull) {
      if (refusals === undefined || !isFull) return;
      context.report(name, "warning", `no room: ${maxConnections} connections are being served`);
    },
    faulted: (error) => context.report(name, "warning", `unable to serve: ${String(error)}`),
  };
  return verbosity < 2 ? events : { ...events, ...logEveryConnection(say, lines, options) };
}

function logEveryConnection<Peer, Local>(
  say: Say,
  lines: ConnectionLines<Peer, Local>,
  { maxConnections, maxPerKey }: LogOptions,
): Pick<ServerEvents<Peer, Local>, "accepted" | "ended"> {
  return {
    accepted(connection, pid, count, total) {
      say(2, "info", lines.accepted(connection, pid, `${count}/${maxPerKey}`));
      say(2, "info", `status: ${total}/${maxConnections}`);
    },
    ended(connection, pid, status, { count, total }) {
      const how = formatStatus(status);
      say(2, "info", lines.ended(connection, pid, how, `${count}/${maxPerKey}`));
      say(2, "info", `status: ${total}/${maxConnections}`);
    },
  };
}
