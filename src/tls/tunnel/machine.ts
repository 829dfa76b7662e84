/**
 * The life of a tunnel as a pure function: state and event to state and effects (networking.md, sections
 * 14.1 and 14.2). Bytes do not pass through here, only what opens and closes; `tunnel.ts` performs the
 * effects.
 *
 * After the handshake a state says what each direction does. Toward the program: open; the peer has
 * ended, and what it sent before is being delivered (one state for each way to end, as that decides what
 * follows the delivery); delivered; or unwanted, because the program has stopped reading. Toward the
 * peer: open, or, in the states called `...Sent`, done: the program has closed, or the peer cannot be
 * reached. Of the states in which both directions are done, `lingering` still waits for the peer.
 */

import { ENDED_WELL, tlsFailure } from "./exit.ts";
import type { TunnelEnd } from "./exit.ts";

/** How a peer ends: by close_notify, by closing the connection between records, or inside of one. */
export type PeerEnd = "notified" | "ended" | "cut";

export type State =
  | "handshake"
  /** The same, and the peer cannot be reached any more. */
  | "handshakeSent"
  | "open"
  | PeerEnd
  | "delivered"
  | "unwanted"
  | "openSent"
  | `${PeerEnd}Sent`
  /** Nothing more is for the program. Bytes of the peer are read and dropped until it has finished. */
  | "lingering"
  | "over";

/** Why a tunnel fails: a failure of TLS, told as one during or after the handshake, or any other end. */
export type TunnelFailure = { readonly detail: string } | TunnelEnd;

/** What comes with the events that say more than their name. */
interface Payloads {
  /** The peer is accepted. */
  readonly secured: object;
  /** There is a program to relay for. */
  readonly attached: object;
  /** TLS, reading from the network or a time limit. */
  readonly failed: { readonly failure: TunnelFailure };
  readonly aborted: { readonly end: TunnelEnd };
  /** The last byte of the peer has been received, and maybe not read yet. */
  readonly peerEnded: { readonly how: PeerEnd };
  /** All that the peer sent has been read, and given to the program if there is one. */
  readonly allRead: object;
  /** The program has got all of it, and was shown the end. */
  readonly delivered: object;
  /** The program has closed its output, and all that it wrote is on its way. */
  readonly programClosed: object;
  /** The program has closed its input. */
  readonly programStopped: object;
  /** Writing to the network has failed. What the peer has sent before still counts. */
  readonly unreachable: object;
  /** The answer to the peer's close_notify is on its way. */
  readonly answered: object;
}

export type EventKind = keyof Payloads;
export type EventOf<Kind extends EventKind> = { readonly kind: Kind } & Payloads[Kind];
export type Event = { [Kind in EventKind]: EventOf<Kind> }[EventKind];

export type Effect =
  | { readonly do: "tellSecured" }
  | { readonly do: "tellFailed"; readonly end: TunnelEnd }
  /** Begin to relay for the program that was attached; or close its descriptors. */
  | { readonly do: "startProgram" | "rejectProgram" }
  /** Show the program the end of its input once it has got everything; the event `delivered` follows. */
  | { readonly do: "endDelivery" }
  | { readonly do: "closeInput" | "closeOutput" }
  /** Read from the peer no more, so that it waits. */
  | { readonly do: "pause" }
  /** Half-close the connection. */
  | { readonly do: "shutdownWrite" }
  | { readonly do: "sendCloseNotify" }
  /** Send it in answer to the peer's; the event `answered` follows when it is on its way. */
  | { readonly do: "answerCloseNotify" }
  /** Read and drop what the peer sends, for a limited time. */
  | { readonly do: "linger" }
  /** Close everything, and tell of the end. Always the last effect of a tunnel. */
  | { readonly do: "finish"; readonly end: TunnelEnd };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** What the user decides about closing. */
export interface ClosingSettings {
  /** Send close_notify when the program has closed, and deliver nothing more. */
  readonly sendsCloseNotify: boolean;
  /** A peer that goes without close_notify has been cut off: fail. */
  readonly enforcesCloseNotify: boolean;
  /** The peer's close_notify ends both directions at once. */
  readonly closesBothWays: boolean;
}

type Action<Kind extends EventKind> = (
  state: State,
  event: EventOf<Kind>,
  settings: ClosingSettings,
) => Step;

type Row = { readonly [Kind in EventKind]: Action<Kind> };

// Of each row the first line is about the handshake and the peer, the second about the program and the
// way to the peer.
// prettier-ignore
const ACTIONS: Readonly<Record<State, Row>> = {
  handshake: {
    secured: secure,     failed: failDuring, aborted: giveUp, peerEnded: ignore,      allRead: leaveEarly,       answered: ignore,
    attached: reject,    delivered: ignore,           programStopped: ignore,         programClosed: ignore,         unreachable: loseWay },
  handshakeSent: {
    secured: secureSent, failed: failDuring, aborted: giveUp, peerEnded: ignore,      allRead: leaveEarly,       answered: ignore,
    attached: reject,    delivered: ignore,           programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
  open: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: receive,     allRead: ignore,           answered: ignore,
    attached: start,     delivered: ignore,           programStopped: hold,           programClosed: halfClose,      unreachable: stopSending },
  notified: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: start,     delivered: takeNotice,       programStopped: takeNotice,     programClosed: halfClose,      unreachable: stopSending },
  ended: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: start,     delivered: takeEnd,          programStopped: takeEnd,        programClosed: halfClose,      unreachable: stopSending },
  cut: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: start,     delivered: failCut,          programStopped: failCut,        programClosed: halfClose,      unreachable: stopSending },
  delivered: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: ignore,           answered: ignore,
    attached: reject,    delivered: ignore,           programStopped: ignore,         programClosed: closeLast,      unreachable: finish },
  unwanted: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: endUnwanted, allRead: ignore,           answered: ignore,
    attached: reject,    delivered: ignore,           programStopped: ignore,         programClosed: closeAndLinger, unreachable: lingerUnreached },
  openSent: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: receive,     allRead: ignore,           answered: ignore,
    attached: startSent, delivered: ignore,           programStopped: linger,         programClosed: ignore,         unreachable: ignore },
  notifiedSent: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: startSent, delivered: takeLastNotice,   programStopped: takeLastNotice, programClosed: ignore,         unreachable: ignore },
  endedSent: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: startSent, delivered: takeLastEnd,      programStopped: takeLastEnd,    programClosed: ignore,         unreachable: ignore },
  cutSent: {
    secured: ignore,     failed: failAfter,  aborted: abort,  peerEnded: ignore,      allRead: deliver,          answered: ignore,
    attached: startSent, delivered: failCut,          programStopped: failCut,        programClosed: ignore,         unreachable: ignore },
  lingering: {
    secured: ignore,     failed: finish,     aborted: abort,  peerEnded: ignore,      allRead: finish,           answered: finish,
    attached: reject,    delivered: finish,           programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
  over: {
    secured: ignore,     failed: ignore,     aborted: ignore, peerEnded: ignore,      allRead: ignore,           answered: ignore,
    attached: reject,    delivered: ignore,           programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
};

/** The state that follows when the way to the peer is closed, all else being equal. */
const SENT: Readonly<Record<State, State>> = {
  handshake: "handshakeSent",
  handshakeSent: "handshakeSent",
  open: "openSent",
  notified: "notifiedSent",
  ended: "endedSent",
  cut: "cutSent",
  openSent: "openSent",
  notifiedSent: "notifiedSent",
  endedSent: "endedSent",
  cutSent: "cutSent",
  delivered: "over",
  unwanted: "lingering",
  lingering: "lingering",
  over: "over",
};

/** What follows from an event. */
export function step<Kind extends EventKind>(
  state: State,
  event: EventOf<Kind>,
  settings: ClosingSettings,
): Step {
  const row: Row = ACTIONS[state];
  const kind: Kind = event.kind;
  return row[kind](state, event, settings);
}

function ignore(state: State): Step {
  return { state, effects: [] };
}

function secure(): Step {
  return { state: "open", effects: [{ do: "tellSecured" }] };
}

function secureSent(): Step {
  return { state: "openSent", effects: [{ do: "tellSecured" }] };
}

function loseWay(state: State): Step {
  return { state: SENT[state], effects: [] };
}

function failDuring(_: State, { failure }: EventOf<"failed">): Step {
  return failHandshake(endOf(failure, "during"));
}

function leaveEarly(): Step {
  return failHandshake(endOf({ detail: "the peer closed the connection" }, "during"));
}

function giveUp(_: State, { end }: EventOf<"aborted">): Step {
  return failHandshake(end);
}

function failHandshake(end: TunnelEnd): Step {
  return {
    state: "over",
    effects: [
      { do: "tellFailed", end },
      { do: "finish", end },
    ],
  };
}

function failAfter(_: State, { failure }: EventOf<"failed">): Step {
  return finishWith(endOf(failure, "after"));
}

function abort(_: State, { end }: EventOf<"aborted">): Step {
  return finishWith(end);
}

function failCut(): Step {
  return finishWith(endOf({ detail: "the connection was cut inside a record" }, "after"));
}

function finish(): Step {
  return finishWith(ENDED_WELL);
}

function finishWith(end: TunnelEnd): Step {
  return { state: "over", effects: [{ do: "finish", end }] };
}

function endOf(failure: TunnelFailure, when: "during" | "after"): TunnelEnd {
  if ("exitCode" in failure) return failure;
  return tlsFailure(
    `the TLS engine closed the connection ${when} the handshake: ${failure.detail}`,
  );
}

function reject(state: State): Step {
  return { state, effects: [{ do: "rejectProgram" }] };
}

function start(state: State): Step {
  return { state, effects: [{ do: "startProgram" }] };
}

function startSent(state: State): Step {
  return { state, effects: [{ do: "startProgram" }, { do: "closeOutput" }] };
}

function receive(state: State, { how }: EventOf<"peerEnded">): Step {
  return { state: state === "open" ? how : SENT[how], effects: [] };
}

function deliver(state: State): Step {
  return { state, effects: [{ do: "endDelivery" }] };
}

/** The program has everything, or wants no more of it, and the peer sent a close_notify. */
function takeNotice(_: State, __: object, { closesBothWays }: ClosingSettings): Step {
  return closesBothWays ? answer() : { state: "delivered", effects: [] };
}

function takeLastNotice(_: State, __: object, { closesBothWays }: ClosingSettings): Step {
  return closesBothWays ? answer() : finish();
}

/** A peer that reads nothing more takes no close_notify either, so there is a limit to the wait. */
function answer(): Step {
  return {
    state: "lingering",
    effects: [{ do: "closeOutput" }, { do: "linger" }, { do: "answerCloseNotify" }],
  };
}

/** The same, and the peer closed the connection without a close_notify. */
function takeEnd(_: State, __: object, { enforcesCloseNotify }: ClosingSettings): Step {
  return enforcesCloseNotify ? failUnnotified() : { state: "delivered", effects: [] };
}

function takeLastEnd(_: State, __: object, { enforcesCloseNotify }: ClosingSettings): Step {
  return enforcesCloseNotify ? failUnnotified() : finish();
}

function failUnnotified(): Step {
  return finishWith(tlsFailure("remote closed connection without a close_notify"));
}

/** Nobody reads, so nothing has to be delivered before the end. */
function endUnwanted(state: State, event: EventOf<"peerEnded">, settings: ClosingSettings): Step {
  switch (event.how) {
    case "notified":
      return takeNotice(state, event, settings);
    case "ended":
      return takeEnd(state, event, settings);
    case "cut":
      return failCut();
  }
}

/** Nobody reads what the peer sends: let it wait. */
function hold(): Step {
  return { state: "unwanted", effects: [{ do: "pause" }] };
}

function halfClose(state: State, _: object, { sendsCloseNotify }: ClosingSettings): Step {
  if (sendsCloseNotify) return sendCloseNotify();
  return { state: SENT[state], effects: [{ do: "shutdownWrite" }] };
}

/** The program had everything before it closed. */
function closeLast(_: State, __: object, { sendsCloseNotify }: ClosingSettings): Step {
  if (sendsCloseNotify) return sendCloseNotify();
  return { state: "over", effects: [{ do: "shutdownWrite" }, { do: "finish", end: ENDED_WELL }] };
}

function closeAndLinger(_: State, __: object, { sendsCloseNotify }: ClosingSettings): Step {
  if (sendsCloseNotify) return sendCloseNotify();
  return { state: "lingering", effects: [{ do: "shutdownWrite" }, { do: "linger" }] };
}

/** After close_notify nothing more is delivered (section 14.2, `-S`). */
function sendCloseNotify(): Step {
  return {
    state: "lingering",
    effects: [{ do: "closeInput" }, { do: "sendCloseNotify" }, { do: "linger" }],
  };
}

function stopSending(state: State): Step {
  return { state: SENT[state], effects: [{ do: "closeOutput" }] };
}

function lingerUnreached(): Step {
  return { state: "lingering", effects: [{ do: "closeOutput" }, { do: "linger" }] };
}

/**
 * Nothing more is for the program. To close now, with bytes of the peer unread, would reset the
 * connection and take away what the peer has not read yet: let it finish, for a while.
 */
function linger(): Step {
  return { state: "lingering", effects: [{ do: "linger" }] };
}
