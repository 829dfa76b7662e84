/**
 * The life of a connection of TLS as a pure function: state and event to state and effects. With UCSPI-TLS
 * (networking.md, section 16) it begins as `offered`, else as `tunneled`; `tls-connection.ts` performs the
 * effects, and what happens within the tunnel is for `machine.ts` to decide.
 *
 * Files may have changed since the program was started. So a program that has asked for TLS waits until whoever
 * reads them says with what the handshake is to be made, or that there is to be none.
 */

import type { TlsSide } from "../handshake/handshake.ts";
import { ENDED_WELL, tlsFailure, TUNNEL_EXIT } from "./exit.ts";
import type { TunnelEnd } from "./exit.ts";
import type { Ends } from "./wire.ts";

export type OfferState =
  /** The program may ask for TLS. */
  | { readonly name: "offered" }
  /** It has. `isToTell`: and waits for the variables of the handshake, whose time is counted from then. */
  | { readonly name: "asked"; readonly isToTell: boolean; readonly sinceMs: number }
  /** Its tunnel decides everything else. `hasProgram`: there is a program, or the promise of one. */
  | { readonly name: "tunneled"; readonly hasProgram: boolean }
  | { readonly name: "over" };

/** What the program has written to its control socket; "end" if it has closed that. */
export type ControlCommand = number | "end";

export type OfferEvent =
  | { readonly kind: "command"; readonly command: ControlCommand; readonly nowMs: number }
  /** The handshake is to be made with this. */
  | { readonly kind: "permitted"; readonly side: TlsSide }
  /** There is a program, for which to relay. */
  | { readonly kind: "attached"; readonly local: Ends }
  /** The time for the handshake has passed. */
  | { readonly kind: "expired" }
  /** An `end` of undefined is that of whatever is there. */
  | { readonly kind: "aborted"; readonly end: TunnelEnd | undefined }
  | { readonly kind: "tunnelEnded"; readonly end: TunnelEnd };

export type OfferEffect =
  /** Tell whether the program wants TLS. If it does, the event `permitted` or `aborted` follows. */
  | { readonly do: "tellDecision"; readonly accepts: boolean }
  /** The event `expired` follows unless there is a tunnel by then. */
  | { readonly do: "limit" }
  | {
      readonly do: "openTunnel";
      readonly side: TlsSide;
      readonly isToTell: boolean;
      /** The time for the handshake is counted from then. */
      readonly sinceMs: number;
    }
  /** Have the tunnel relay for this program, or close the descriptors. */
  | { readonly do: "relay" | "reject"; readonly local: Ends }
  | { readonly do: "abortTunnel"; readonly end: TunnelEnd | undefined }
  /** Close all descriptors, for there is no tunnel that has them. */
  | { readonly do: "close" }
  /** Always the last effect. */
  | { readonly do: "tellEnd"; readonly end: TunnelEnd };

export interface OfferStep {
  readonly state: OfferState;
  readonly effects: readonly OfferEffect[];
}

export interface OfferSettings {
  /** Is a handshake that took too long worth a message? */
  readonly tellsTimeout: boolean;
}

const START = 0x79; // y
const START_AND_TELL = 0x59; // Y

const CANNOT_UNDERSTAND: TunnelEnd = {
  exitCode: TUNNEL_EXIT.usage,
  message: "unrecognized command on control socket",
};

export function offerStep(
  state: OfferState,
  event: OfferEvent,
  settings: OfferSettings,
): OfferStep {
  switch (state.name) {
    case "offered":
      return stepOffered(state, event);
    case "asked":
      return stepAsked(state, event, settings);
    case "tunneled":
      return stepTunneled(state, event);
    case "over":
      return event.kind === "attached" ? reject(state, event.local) : { state, effects: [] };
  }
}

function stepOffered(state: OfferState, event: OfferEvent): OfferStep {
  switch (event.kind) {
    case "command":
      return obey(event.command, event.nowMs);
    case "aborted":
      return closed(event.end ?? ENDED_WELL);
    case "attached":
      return reject(state, event.local);
    case "permitted": // for nobody has asked
    case "expired":
    case "tunnelEnded":
      return { state, effects: [] };
  }
}

function obey(command: ControlCommand, nowMs: number): OfferStep {
  if (command === "end") {
    const { state, effects } = closed(ENDED_WELL);
    return { state, effects: [{ do: "tellDecision", accepts: false }, ...effects] };
  }
  if (command !== START && command !== START_AND_TELL) return closed(CANNOT_UNDERSTAND);
  return {
    state: { name: "asked", isToTell: command === START_AND_TELL, sinceMs: nowMs },
    effects: [{ do: "limit" }, { do: "tellDecision", accepts: true }],
  };
}

function stepAsked(
  state: OfferState & { readonly name: "asked" },
  event: OfferEvent,
  { tellsTimeout }: OfferSettings,
): OfferStep {
  switch (event.kind) {
    case "permitted": {
      const { isToTell, sinceMs } = state;
      return {
        state: { name: "tunneled", hasProgram: true },
        effects: [{ do: "openTunnel", side: event.side, isToTell, sinceMs }],
      };
    }
    case "expired":
      return closed(tlsFailure(tellsTimeout ? "handshake timed out" : undefined));
    case "aborted":
      return closed(event.end ?? ENDED_WELL);
    case "attached":
      return reject(state, event.local);
    case "command": // there is one to a connection
    case "tunnelEnded":
      return { state, effects: [] };
  }
}

function stepTunneled(
  state: OfferState & { readonly name: "tunneled" },
  event: OfferEvent,
): OfferStep {
  switch (event.kind) {
    case "attached":
      if (state.hasProgram) return reject(state, event.local);
      return {
        state: { name: "tunneled", hasProgram: true },
        effects: [{ do: "relay", local: event.local }],
      };
    case "aborted":
      return { state, effects: [{ do: "abortTunnel", end: event.end }] };
    case "tunnelEnded":
      return { state: { name: "over" }, effects: [{ do: "tellEnd", end: event.end }] };
    case "command":
    case "permitted":
    case "expired":
      return { state, effects: [] };
  }
}

function reject(state: OfferState, local: Ends): OfferStep {
  return { state, effects: [{ do: "reject", local }] };
}

function closed(end: TunnelEnd): OfferStep {
  return { state: { name: "over" }, effects: [{ do: "close" }, { do: "tellEnd", end }] };
}
