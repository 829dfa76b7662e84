/**
 * The life of a connection, from its acceptance until nothing of it is left: which event takes it from
 * which state to which, and with what effects. Decisions only; `live-connection.ts` performs the effects.
 *
 * The stop of a server is no event here: connections that are alive go on, whether links run for them, a
 * retry is due or a process serves them. Only a signal ends them.
 */

export type State =
  /** It holds a slot; its service has not been asked yet. */
  | "accepted"
  /** The links at the head of its chain are running, or a function is about to take the socket. */
  | "preparing"
  /** Ended by a signal while links were running: their outcome is awaited, and discarded. */
  | "cancelled"
  /** The system is being asked for a process. */
  | "creating"
  /** There was no process to be had; a retry is due. */
  | "delayed"
  /** There is a process, which has not executed its program yet. */
  | "spawning"
  /** A program or a function is serving it. */
  | "running"
  /** Its process has ended; tunnels still deliver its output. */
  | "ending"
  | "over";

export type Event =
  | "start"
  /** The server's own rules do not admit the client. */
  | "refused"
  /** The links have run, and a program is to be executed. */
  | "prepared"
  /** It cannot be served: a link or the system failed, or the program could not be executed. */
  | "failed"
  /** No process for the moment: try again later. */
  | "shortage"
  /** A process was created. */
  | "created"
  /** The process has executed its program; or a function has the socket. */
  | "begun"
  /** The chain ended before a program, the process ended, or the function's socket is closed. */
  | "ended"
  | "tunnelsEnded"
  | "retryDue"
  /** SIGTERM or SIGKILL. */
  | "terminate"
  /** Any other signal. */
  | "signal";

export type Effect =
  /** Run the links of the chain, or give the socket to a function. */
  | "prepare"
  /** Ask the system for a process. */
  | "create"
  /** Close the accepted socket. A function's socket belongs to its stream instead. */
  | "closeSocket"
  /** End the connection under a link that still holds the socket. */
  | "shutSocket"
  /** Undo what the links have set up: the launch becomes no process. */
  | "abandon"
  | "setRetry"
  | "cancelRetry"
  /** Give the slot back. */
  | "free"
  | "tellAccepted"
  | "tellEnded"
  | "tellDropped"
  /** Send the signal on to whoever is serving. */
  | "forward"
  /** Kill a process that was created too late. */
  | "kill"
  | "awaitTunnels"
  | "abortTunnels";

/** The reaction to an event in a state. Undefined: none. */
export type Action = { readonly next: State; readonly effects: readonly Effect[] } | typeof ignore;

const ignore = undefined;

/** The effects take place in this order, when the connection is in its next state already. */
function to(next: State, ...effects: readonly Effect[]): Exclude<Action, undefined> {
  return { next, effects };
}

const prepare = to("preparing", "prepare");
const create = to("creating", "create");
const delay = to("delayed", "setRetry");
const born = to("spawning", "closeSocket");
const begin = to("running", "tellAccepted");
const pass = to("spawning", "forward");
const passOn = to("running", "forward");
/** The process has ended before it was known to have executed its program. */
const endEarly = to("ending", "tellAccepted", "awaitTunnels");
const endLate = to("ending", "awaitTunnels");
const cutShort = to("ending", "abortTunnels");
const cancel = to("cancelled", "shutSocket", "tellAccepted", "free", "tellEnded");

const turnAway = to("over", "closeSocket", "free");
const drop = to("over", "closeSocket", "tellDropped", "free");
const giveUp = to("over", "abandon", "closeSocket", "tellDropped", "free");
const lose = to("over", "abortTunnels", "tellDropped", "free");
const refuse = to("over", "closeSocket", "tellAccepted", "free", "tellEnded");
const leave = to(
  "over",
  "cancelRetry",
  "abandon",
  "closeSocket",
  "tellAccepted",
  "free",
  "tellEnded",
);
const finish = to("over", "free", "tellEnded");
/** The slot is free already. */
const discard = to("over", "abandon", "closeSocket");
const discardChild = to("over", "closeSocket", "kill", "abortTunnels");

type Row = Record<Event, Action>;

// Each row is in the order of the life's events; read it by columns.
// prettier-ignore
export const LIFE = {
  accepted: {
    start: prepare,  refused: turnAway, prepared: ignore,  failed: drop,    shortage: ignore,  created: ignore,
    begun: ignore,   ended: ignore,     tunnelsEnded: ignore, retryDue: ignore, terminate: refuse, signal: ignore,
  },
  preparing: {
    start: ignore,   refused: turnAway, prepared: create,  failed: drop,    shortage: ignore,  created: ignore,
    begun: begin,    ended: refuse,     tunnelsEnded: ignore, retryDue: ignore, terminate: cancel, signal: ignore,
  },
  cancelled: {
    start: ignore,   refused: discard,  prepared: discard, failed: discard, shortage: discard, created: discardChild,
    begun: ignore,   ended: discard,    tunnelsEnded: ignore, retryDue: ignore, terminate: ignore, signal: ignore,
  },
  creating: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: giveUp,  shortage: delay,   created: born,
    begun: ignore,   ended: ignore,     tunnelsEnded: ignore, retryDue: ignore, terminate: cancel, signal: ignore,
  },
  delayed: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: ignore,  shortage: ignore,  created: ignore,
    begun: ignore,   ended: ignore,     tunnelsEnded: ignore, retryDue: create, terminate: leave,  signal: ignore,
  },
  spawning: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: lose,    shortage: ignore,  created: ignore,
    begun: begin,    ended: endEarly,   tunnelsEnded: ignore, retryDue: ignore, terminate: pass,   signal: pass,
  },
  running: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: lose,    shortage: ignore,  created: ignore,
    begun: ignore,   ended: endLate,    tunnelsEnded: ignore, retryDue: ignore, terminate: passOn, signal: passOn,
  },
  ending: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: ignore,  shortage: ignore,  created: ignore,
    begun: ignore,   ended: ignore,     tunnelsEnded: finish, retryDue: ignore, terminate: cutShort, signal: ignore,
  },
  over: {
    start: ignore,   refused: ignore,   prepared: ignore,  failed: ignore,  shortage: ignore,  created: ignore,
    begun: ignore,   ended: ignore,     tunnelsEnded: ignore, retryDue: ignore, terminate: ignore, signal: ignore,
  },
} as const satisfies Record<State, Row>;

/** The reaction of a connection in `state` to `event`. */
export function actionFor(state: State, event: Event): Action {
  const row: Row = LIFE[state];
  return row[event];
}
