/** The steps of a tunnel: what a cell of the tables in `machine.ts` stands for. */

import { ENDED_WELL, tlsFailure } from "./exit.ts";
import type { TunnelEnd } from "./exit.ts";
import type { ClosingSettings, EventOf, Failing, OpenState, State, Step } from "./states.ts";

/** The state that follows when the way to the peer is closed, all else being equal. */
const SENT: Readonly<Record<OpenState, OpenState>> = {
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

export function ignore(state: State): Step {
  return { state, effects: [] };
}

export function secure(): Step {
  return { state: "open", effects: [{ do: "tellSecured" }] };
}

export function secureSent(): Step {
  return { state: "openSent", effects: [{ do: "tellSecured" }] };
}

export function loseWay(state: OpenState): Step {
  return { state: SENT[state], effects: [] };
}

export function failDuring(_: State, { detail }: EventOf<"failed">): Step {
  return failHandshake(engineFailure(detail, "during"));
}

export function leaveEarly(): Step {
  return failHandshake(engineFailure("the peer closed the connection", "during"));
}

export function giveUp(_: State, { end }: { readonly end: TunnelEnd }): Step {
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

export function abort(_: State, { end }: { readonly end: TunnelEnd }): Step {
  return finishWith(end);
}

export function finish(): Step {
  return finishWith(ENDED_WELL);
}

export function finishFailed({ end }: Failing): Step {
  return finishWith(end);
}

export function finishCut(): Step {
  return finishWith(CUT);
}

function finishWith(end: TunnelEnd): Step {
  return { state: "over", effects: [{ do: "finish", end }] };
}

const CUT = engineFailure("the connection was cut inside a record", "after");

function engineFailure(detail: string, when: "during" | "after"): TunnelEnd {
  return tlsFailure(`the TLS engine closed the connection ${when} the handshake: ${detail}`);
}

/** Nothing more can be sent, but what was taken from the program before is on its way. */
export function fail(_: State, { detail }: EventOf<"failed">): Step {
  const end = engineFailure(detail, "after");
  return { state: { name: "failed", end }, effects: [{ do: "endOutput" }] };
}

export function failSent(_: State, { detail }: EventOf<"failed">): Step {
  return { state: { name: "failedSent", end: engineFailure(detail, "after") }, effects: [] };
}

export function failUnwanted(_: State, { detail }: EventOf<"failed">): Step {
  return partWith(engineFailure(detail, "after"));
}

export function failReset(_: State, { end }: EventOf<"reset">): Step {
  return { state: { name: "failedSent", end }, effects: [{ do: "closeOutput" }] };
}

export function failResetSent(_: State, { end }: EventOf<"reset">): Step {
  return { state: { name: "failedSent", end }, effects: [] };
}

export function loseFailed({ end }: Failing): Step {
  return { state: { name: "failedSent", end }, effects: [{ do: "closeOutput" }] };
}

export function closeFailed({ end }: Failing): Step {
  return { state: { name: "failedSent", end }, effects: [{ do: "shutdownWrite" }] };
}

export function part({ end }: Failing): Step {
  return partWith(end);
}

export function partCut(): Step {
  return partWith(CUT);
}

/** A peer that reads nothing more takes the last bytes no more either, so there is a limit to the wait. */
function partWith(end: TunnelEnd): Step {
  return { state: { name: "parting", end }, effects: [{ do: "limit" }, { do: "endOutput" }] };
}

export function reject(state: State): Step {
  return { state, effects: [{ do: "rejectProgram" }] };
}

export function attach(state: State): Step {
  return { state, effects: [{ do: "startProgram" }] };
}

export function attachSent(state: State): Step {
  return { state, effects: [{ do: "startProgram" }, { do: "closeOutput" }] };
}

export function receive(state: State, { how }: EventOf<"peerEnded">): Step {
  return { state: state === "open" ? how : SENT[how], effects: [] };
}

export function deliver(state: State): Step {
  return { state, effects: [{ do: "endDelivery" }] };
}

/** The program has everything, or wants no more of it, and the peer sent a close_notify. */
export function takeNotice(_: State, __: object, { closesBothWays }: ClosingSettings): Step {
  return closesBothWays ? answer() : { state: "delivered", effects: [] };
}

export function takeLastNotice(_: State, __: object, { closesBothWays }: ClosingSettings): Step {
  return closesBothWays ? answer() : finish();
}

/** A peer that reads nothing more takes no close_notify either, so there is a limit to the wait. */
function answer(): Step {
  return {
    state: "lingering",
    effects: [{ do: "closeOutput" }, { do: "linger" }, { do: "answerCloseNotify" }],
  };
}

const UNNOTIFIED = tlsFailure("remote closed connection without a close_notify");

/** The same, and the peer closed the connection without a close_notify. */
export function takeEnd(_: State, __: object, { enforcesCloseNotify }: ClosingSettings): Step {
  return enforcesCloseNotify ? partWith(UNNOTIFIED) : { state: "delivered", effects: [] };
}

export function takeLastEnd(_: State, __: object, { enforcesCloseNotify }: ClosingSettings): Step {
  return enforcesCloseNotify ? finishWith(UNNOTIFIED) : finish();
}

/** Nobody reads, so nothing has to be delivered before the end. */
export function endUnwanted(
  state: State,
  event: EventOf<"peerEnded">,
  settings: ClosingSettings,
): Step {
  switch (event.how) {
    case "notified":
      return takeNotice(state, event, settings);
    case "ended":
      return takeEnd(state, event, settings);
    case "cut":
      return partCut();
  }
}

/** Nobody reads what the peer sends: let it wait. */
export function hold(): Step {
  return { state: "unwanted", effects: [{ do: "pause" }] };
}

export function halfClose(
  state: OpenState,
  _: object,
  { sendsCloseNotify }: ClosingSettings,
): Step {
  if (sendsCloseNotify) return sendCloseNotify();
  return { state: SENT[state], effects: [{ do: "shutdownWrite" }] };
}

/** What was received before the cut is still delivered, whatever else is set. */
export function closeCut(_: State, __: object, { sendsCloseNotify }: ClosingSettings): Step {
  return {
    state: "cutSent",
    effects: [{ do: sendsCloseNotify ? "sendCloseNotify" : "shutdownWrite" }],
  };
}

/** The program had everything before it closed. */
export function closeLast(_: State, __: object, { sendsCloseNotify }: ClosingSettings): Step {
  if (sendsCloseNotify) return sendCloseNotify();
  return { state: "over", effects: [{ do: "shutdownWrite" }, { do: "finish", end: ENDED_WELL }] };
}

export function closeAndLinger(_: State, __: object, { sendsCloseNotify }: ClosingSettings): Step {
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

export function stopSending(state: OpenState): Step {
  return { state: SENT[state], effects: [{ do: "closeOutput" }] };
}

/** Nothing is to be delivered before the end of a connection that has failed. */
export function loseUnwanted(_: State, { reset }: EventOf<"unreachable">): Step {
  if (reset !== undefined) return finishWith(reset);
  return { state: "lingering", effects: [{ do: "closeOutput" }, { do: "linger" }] };
}

/**
 * Nothing more is for the program. To close now, with bytes of the peer unread, would reset the
 * connection and take away what the peer has not read yet: let it finish, for a while.
 */
export function linger(): Step {
  return { state: "lingering", effects: [{ do: "linger" }] };
}
