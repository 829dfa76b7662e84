/**
 * The life of a client of an fd holder, a pure function from state and event to state and effects. What a
 * request does to the table is decided by answers.ts; here is which requests are in order, and when the
 * connection ends.
 */

import type { HolderRequest } from "./wire/requests.ts";

export type ClientState =
  /** It may ask for anything. */
  | { readonly kind: "open" }
  /** A dump of it has been announced, and `left` descriptors of it are still to come. */
  | { readonly kind: "importing"; readonly left: number }
  /** It is our successor, and has been sent everything. */
  | { readonly kind: "handing" }
  /** Answers are still on their way to it; nothing is read any more. */
  | { readonly kind: "closing" }
  | { readonly kind: "over" };

export type ClientEvent =
  | { readonly kind: "request"; readonly request: HolderRequest }
  /** It does not keep to the format; `why` completes "sent ...". */
  | { readonly kind: "malformed"; readonly why: string }
  /** The kernel had no room for the descriptors of a request. */
  | { readonly kind: "lostFds" }
  /** Its announcement of a dump was accepted. */
  | { readonly kind: "importBegins"; readonly total: number }
  /** Its request to take over was accepted. */
  | { readonly kind: "handOverBegins" }
  /** All answers have been sent. */
  | { readonly kind: "flushed" }
  /** It has closed its sending end. */
  | { readonly kind: "ended" }
  /** It cannot be written to or read from any more. */
  | { readonly kind: "broken" }
  /** It has let too much time pass; `unsent`: there are messages that it has not taken. */
  | { readonly kind: "late"; readonly unsent: boolean }
  /** The holder stops. */
  | { readonly kind: "drain" };

export type ClientEffect =
  | { readonly do: "answer"; readonly request: HolderRequest; readonly isLast: boolean }
  /** Close the descriptors of a request that is not carried out. */
  | { readonly do: "discard"; readonly request: HolderRequest }
  | { readonly do: "refuse"; readonly code: string }
  | { readonly do: "warn"; readonly text: string }
  /** It has everything: stop, and pass the clients on. */
  | { readonly do: "commit" }
  /** The successor has failed: go on as before. */
  | { readonly do: "resume" }
  | { readonly do: "close" };

export interface ClientStep {
  readonly state: ClientState;
  readonly effects: readonly ClientEffect[];
}

export const CLIENT_START: ClientState = { kind: "open" };

const CLOSING: ClientState = { kind: "closing" };
const OVER: ClientState = { kind: "over" };

type Of<Kind extends ClientEvent["kind"]> = Extract<ClientEvent, { readonly kind: Kind }>;
type In<Kind extends ClientState["kind"]> = Extract<ClientState, { readonly kind: Kind }>;
type Row<Kind extends ClientState["kind"]> = {
  readonly [Name in ClientEvent["kind"]]: (event: Of<Name>, state: In<Kind>) => ClientStep;
};

function to(state: ClientState, ...effects: readonly ClientEffect[]): ClientStep {
  return { state, effects };
}

function stay(_: ClientEvent, state: ClientState): ClientStep {
  return to(state);
}

function close(): ClientStep {
  return to(OVER, { do: "close" });
}

function finish(): ClientStep {
  return to(CLOSING);
}

function cut({ why }: Of<"malformed">): ClientStep {
  return to(OVER, { do: "warn", text: `sent ${why}` }, { do: "close" });
}

function cutLate(): ClientStep {
  return to(OVER, { do: "warn", text: "took too long" }, { do: "close" });
}

/** Which descriptors are missing is unknown, so no later request of it could be trusted with one. */
function refuseLost(): ClientStep {
  const text = "sent descriptors for which there is no room";
  return to(CLOSING, { do: "warn", text }, { do: "refuse", code: "EMFILE" });
}

function outOfOrder(request: HolderRequest): ClientStep {
  const text = `sent a request (${request.kind}) that is out of order`;
  return to(OVER, { do: "discard", request }, { do: "warn", text }, { do: "close" });
}

function serve({ request }: Of<"request">, state: ClientState): ClientStep {
  if (request.kind === "dumpData" || request.kind === "commit") return outOfOrder(request);
  return to(state, { do: "answer", request, isLast: true });
}

function takeData({ request }: Of<"request">, { left }: In<"importing">): ClientStep {
  if (request.kind !== "dumpData" || request.entries.length > left) return outOfOrder(request);
  const rest = left - request.entries.length;
  const next: ClientState = rest === 0 ? CLIENT_START : { kind: "importing", left: rest };
  return to(next, { do: "answer", request, isLast: rest === 0 });
}

function takeCommit({ request }: Of<"request">): ClientStep {
  if (request.kind === "commit") return to(CLOSING, { do: "commit" });
  const { effects } = outOfOrder(request);
  return to(OVER, { do: "resume" }, ...effects);
}

function beginImport({ total }: Of<"importBegins">): ClientStep {
  return to(total === 0 ? CLIENT_START : { kind: "importing", left: total });
}

function resume(): ClientStep {
  return to(OVER, { do: "resume" }, { do: "close" });
}

/** A successor that has everything, and has not said so in time, must learn that it has not taken over. */
function giveUp({ unsent }: Of<"late">): ClientStep {
  if (unsent) return resume();
  return to(CLOSING, { do: "resume" }, { do: "refuse", code: "ETIMEDOUT" });
}

function discard({ request }: Of<"request">, state: ClientState): ClientStep {
  return to(state, { do: "discard", request });
}

const OPEN = {
  request: serve,
  malformed: cut,
  lostFds: refuseLost,
  importBegins: beginImport,
  handOverBegins: () => to({ kind: "handing" }),
  flushed: stay,
  ended: finish,
  broken: close,
  late: cutLate,
  drain: finish,
} as const;

const LIFE: { readonly [Kind in ClientState["kind"]]: Row<Kind> } = {
  open: OPEN,
  importing: { ...OPEN, request: takeData },
  handing: {
    request: takeCommit,
    malformed: resume,
    lostFds: resume,
    importBegins: stay,
    handOverBegins: stay,
    flushed: stay,
    ended: resume,
    broken: resume,
    late: giveUp,
    // The holder stops when the successor has everything, or has failed.
    drain: stay,
  },
  closing: {
    request: discard,
    malformed: stay,
    lostFds: stay,
    importBegins: stay,
    handOverBegins: stay,
    flushed: close,
    ended: stay,
    broken: close,
    late: cutLate,
    drain: stay,
  },
  over: {
    request: discard,
    malformed: stay,
    lostFds: stay,
    importBegins: stay,
    handOverBegins: stay,
    flushed: stay,
    ended: stay,
    broken: stay,
    late: stay,
    drain: stay,
  },
};

/** The next state of a client, and the effects. */
export function stepClient(state: ClientState, event: ClientEvent): ClientStep {
  const row = LIFE[state.kind] as Row<ClientState["kind"]>;
  const act = row[event.kind] as (event: ClientEvent, state: ClientState) => ClientStep;
  return act(event, state);
}
