/**
 * The life of a tunnel as a pure function: state and event to state and effects (networking.md, sections
 * 14.1 and 14.2). Bytes do not pass through here, only what opens and closes; `tunnel.ts` performs the
 * effects.
 *
 * After the handshake a state says what each direction does. Toward the program: open; the peer has
 * ended or failed, and what it sent before is being delivered (one state for each way to end, as that
 * decides what follows the delivery); delivered; or unwanted, because the program has stopped reading.
 * Toward the peer: open, or, in the states called `...Sent`, done: the program has closed, or the peer
 * cannot be reached. Of the states in which both directions are done, `lingering` still waits for the
 * peer, and `parting` for what the program wrote before the failure to be on its way.
 *
 * The end of a tunnel is known before it comes where the peer fails: those states carry it.
 */

import {
  abort,
  closeAndLinger,
  closeCut,
  closeFailed,
  closeLast,
  deliver,
  endUnwanted,
  fail,
  failDuring,
  failReset,
  failResetSent,
  failSent,
  failUnwanted,
  finish,
  finishCut,
  finishFailed,
  giveUp,
  halfClose,
  hold,
  ignore,
  leaveEarly,
  linger,
  loseFailed,
  loseUnwanted,
  loseWay,
  part,
  partCut,
  receive,
  reject,
  secure,
  secureSent,
  attach,
  attachSent,
  stopSending,
  takeEnd,
  takeLastEnd,
  takeLastNotice,
  takeNotice,
} from "./steps.ts";
import type {
  ClosingSettings,
  EventKind,
  EventOf,
  Failing,
  FailingName,
  OpenState,
  State,
  Step,
} from "./states.ts";

export type {
  ClosingSettings,
  Effect,
  Event,
  EventKind,
  OpenState,
  PeerEnd,
  State,
  Step,
} from "./states.ts";

type Action<From extends State, Kind extends EventKind> = (
  state: From,
  event: EventOf<Kind>,
  settings: ClosingSettings,
) => Step;

type Row<From extends State> = { readonly [Kind in EventKind]: Action<From, Kind> };

// Of each row the first two lines are about the handshake, the peer and time, the third is about the
// program and the way to the peer.
// prettier-ignore
const ACTIONS: Readonly<Record<OpenState, Row<OpenState>>> = {
  handshake: {
    secured: secure,       failed: failDuring,   expired: giveUp,    aborted: giveUp,
    peerEnded: ignore,     reset: giveUp,        allRead: leaveEarly, delivered: ignore,               answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: ignore,         unreachable: loseWay },
  handshakeSent: {
    secured: secureSent,   failed: failDuring,   expired: giveUp,    aborted: giveUp,
    peerEnded: ignore,     reset: giveUp,        allRead: leaveEarly, delivered: ignore,               answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
  open: {
    secured: ignore,       failed: fail,         expired: abort,     aborted: abort,
    peerEnded: receive,    reset: failReset,     allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: attach,       programStopped: hold,           programClosed: halfClose,      unreachable: stopSending },
  notified: {
    secured: ignore,       failed: stopSending,  expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: takeNotice,            answered: ignore,
    attached: attach,       programStopped: takeNotice,     programClosed: halfClose,      unreachable: stopSending },
  ended: {
    secured: ignore,       failed: stopSending,  expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: takeEnd,               answered: ignore,
    attached: attach,       programStopped: takeEnd,        programClosed: halfClose,      unreachable: stopSending },
  cut: {
    secured: ignore,       failed: stopSending,  expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: partCut,               answered: ignore,
    attached: attach,       programStopped: partCut,        programClosed: closeCut,       unreachable: stopSending },
  delivered: {
    secured: ignore,       failed: finish,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: closeLast,      unreachable: finish },
  unwanted: {
    secured: ignore,       failed: failUnwanted, expired: abort,     aborted: abort,
    peerEnded: endUnwanted, reset: abort,        allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: closeAndLinger, unreachable: loseUnwanted },
  openSent: {
    secured: ignore,       failed: failSent,     expired: abort,     aborted: abort,
    peerEnded: receive,    reset: failResetSent, allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: attachSent,   programStopped: linger,         programClosed: ignore,         unreachable: ignore },
  notifiedSent: {
    secured: ignore,       failed: ignore,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: takeLastNotice,        answered: ignore,
    attached: attachSent,   programStopped: takeLastNotice, programClosed: ignore,         unreachable: ignore },
  endedSent: {
    secured: ignore,       failed: ignore,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: takeLastEnd,           answered: ignore,
    attached: attachSent,   programStopped: takeLastEnd,    programClosed: ignore,         unreachable: ignore },
  cutSent: {
    secured: ignore,       failed: ignore,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: finishCut,             answered: ignore,
    attached: attachSent,   programStopped: finishCut,      programClosed: ignore,         unreachable: ignore },
  lingering: {
    secured: ignore,       failed: finish,       expired: finish,    aborted: abort,
    peerEnded: ignore,     reset: finish,        allRead: finish,    delivered: finish,                answered: finish,
    attached: reject,      programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
  over: {
    secured: ignore,       failed: ignore,       expired: ignore,    aborted: ignore,
    peerEnded: ignore,     reset: ignore,        allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: ignore,         unreachable: ignore },
};

// prettier-ignore
const FAILING: Readonly<Record<FailingName, Row<Failing>>> = {
  failed: {
    secured: ignore,       failed: ignore,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: part,                  answered: ignore,
    attached: attach,       programStopped: part,           programClosed: closeFailed,    unreachable: loseFailed },
  failedSent: {
    secured: ignore,       failed: ignore,       expired: abort,     aborted: abort,
    peerEnded: ignore,     reset: ignore,        allRead: deliver,   delivered: finishFailed,          answered: ignore,
    attached: attachSent,   programStopped: finishFailed,   programClosed: ignore,         unreachable: ignore },
  parting: {
    secured: ignore,       failed: finishFailed, expired: finishFailed, aborted: abort,
    peerEnded: ignore,     reset: finishFailed,  allRead: ignore,    delivered: ignore,                answered: ignore,
    attached: reject,      programStopped: ignore,         programClosed: finishFailed,   unreachable: finishFailed },
};

/** The state and the effects after an event. */
export function step<Kind extends EventKind>(
  state: State,
  event: EventOf<Kind>,
  settings: ClosingSettings,
): Step {
  const kind: Kind = event.kind;
  if (typeof state === "string") return ACTIONS[state][kind](state, event, settings);
  return FAILING[state.name][kind](state, event, settings);
}
