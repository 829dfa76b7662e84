/**
 * s6-tcpserverd as a process: one resident, and what the signals of the process ask of it
 * (networking.md, section 5).
 */

import { exitCodeOf } from "../chain/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import type { Hosted, Stop } from "../host/index.ts";
import { speaker } from "./serverd-log.ts";
import { TCPSERVERD, TcpServerd } from "./tcp-serverd.ts";
import type { ServeOptions } from "./tcp-serverd.ts";

/** Serve the listening socket on descriptor 0 until a signal ends it; the exit code. */
export async function serveTcp(
  launch: Launch,
  options: ServeOptions,
  context: LinkContext,
): Promise<number> {
  const hosted = context.host.run(
    (faces) => new TcpServerd(launch, options, { ...context, ...faces }),
  );
  obeySignals(hosted, options, context);
  const end = await hosted.ended;
  if (end.kind === "done" && end.exitCode === 0) {
    speaker(TCPSERVERD, options.verbosity, context)(2, "info", "exiting");
  }
  return exitCodeOf(end);
}

/** What a signal asks of the server: to stop in some way, or one of these. */
type Order = Stop | "endConnections" | "ignore";

/** What the server does when the signal comes; `--drain` makes SIGTERM another one. */
type Phase = "serving" | "servingWithDrain" | "draining";

// prettier-ignore
const ORDERS = {
  serving:          { SIGTERM: "leave", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "drain" },
  servingWithDrain: { SIGTERM: "drain", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "drain" },
  draining:         { SIGTERM: "leave", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "ignore" },
} as const satisfies Record<Phase, Partial<Record<NodeJS.Signals, Order>>>;

type Ordering = keyof (typeof ORDERS)["serving"];

const ORDERING: readonly Ordering[] = ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR2"];

/** What is logged of an order, after `received SIGNAL, `. */
const DEEDS: Readonly<Record<Exclude<Order, "ignore">, (connections: number) => string>> = {
  leave: () => "quitting",
  drain: (connections) => `draining ${connections} connections`,
  endConnections: () => "sending SIGTERM and SIGCONT to all connections",
  terminate: () => "sending SIGTERM and SIGCONT to all connections and quitting",
  kill: () => "sending SIGKILL to all connections and quitting",
};

/** Tell the server what signals ask of it, until the process ends: a late one does not kill it. */
function obeySignals(
  { resident, stop }: Hosted<TcpServerd>,
  options: ServeOptions,
  context: LinkContext,
): void {
  const say = speaker(TCPSERVERD, options.verbosity, context);
  const serving: Phase = options.drain === undefined ? "serving" : "servingWithDrain";
  for (const signal of ORDERING) {
    context.host.signals.on([signal], () => {
      const order: Order = ORDERS[resident.isDraining ? "draining" : serving][signal];
      if (order === "ignore") return;
      context.children.tellExecs();
      say(2, "info", `received ${signal}, ${DEEDS[order](resident.connections)}`);
      if (order === "endConnections") resident.endConnections();
      else stop(order);
    });
  }
}
