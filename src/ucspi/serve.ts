/**
 * A super-server as a process: one resident, and what the signals of the process ask of it
 * (networking.md, section 5; local-services.md, section 6.3).
 */

import { exitCodeOf } from "../chain/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import type { Hosted, Stop } from "../host/index.ts";
import { Serverd } from "./serverd.ts";
import type { ServerdPlan } from "./serverd.ts";
import { speaker } from "./serverd-log.ts";

/** Serve the listening socket on descriptor 0 until a signal ends it; the exit code. */
export async function serve<Peer, Local>(
  launch: Launch,
  plan: ServerdPlan<Peer, Local>,
  context: LinkContext,
): Promise<number> {
  const hosted = context.host.run((faces) => new Serverd(launch, plan, { ...context, ...faces }));
  obeySignals(hosted, plan, context);
  const end = await hosted.ended;
  if (end.kind === "done" && end.exitCode === 0) {
    speaker(plan.name, plan.verbosity, context)(2, "info", "exiting");
  }
  return exitCodeOf(end);
}

/** The request of a signal to the server: to stop in some way, or one of these. */
type Order = Stop | "endConnections" | "ignore";

/** The reaction of the server to the signal; `--drain` changes that to SIGTERM. */
type Phase = "serving" | "servingWithDrain" | "draining";

// prettier-ignore
const ORDERS = {
  serving:          { SIGTERM: "leave", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "drain" },
  servingWithDrain: { SIGTERM: "drain", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "drain" },
  draining:         { SIGTERM: "leave", SIGHUP: "endConnections", SIGQUIT: "terminate", SIGABRT: "kill", SIGUSR2: "ignore" },
} as const satisfies Record<Phase, Partial<Record<NodeJS.Signals, Order>>>;

type Ordering = keyof (typeof ORDERS)["serving"];

const ORDERING: readonly Ordering[] = ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR2"];

/** Tell the server what signals ask of it, until the process ends: a late one does not kill it. */
function obeySignals<Peer, Local>(
  { resident, stop }: Hosted<Serverd<Peer, Local>>,
  plan: ServerdPlan<Peer, Local>,
  context: LinkContext,
): void {
  const say = speaker(plan.name, plan.verbosity, context);
  const serving: Phase = plan.drain === undefined ? "serving" : "servingWithDrain";
  for (const signal of ORDERING) {
    context.host.signals.on([signal], () => {
      const order: Order = ORDERS[resident.isDraining ? "draining" : serving][signal];
      if (order === "ignore") return;
      context.children.tellExecs();
      const deed = deedOf(order, resident.connections, plan.endingSignals);
      say(2, "info", `received ${signal}, ${deed}`);
      if (order === "endConnections") resident.endConnections();
      else stop(order);
    });
  }
}

/** The log text of a request, after `received SIGNAL, `. */
function deedOf(
  order: Exclude<Order, "ignore">,
  connections: number,
  endingSignals: string,
): string {
  switch (order) {
    case "leave":
      return "quitting";
    case "drain":
      return `draining ${connections} connections`;
    case "endConnections":
      return `sending ${endingSignals} to all connections`;
    case "terminate":
      return `sending ${endingSignals} to all connections and quitting`;
    case "kill":
      return "sending SIGKILL to all connections and quitting";
  }
}
