/** The states of a tunnel, the events that it meets, and the effects that follow; `machine.ts` decides. */

import type { TunnelEnd } from "./exit.ts";

/**
 * The ways in which a peer ends: by close_notify, by closing the connection between records, or inside
 * of one.
 */
export type PeerEnd = "notified" | "ended" | "cut";

/** The states whose end depends on what is still to come. */
export type OpenState =
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

/** The states of a tunnel that will end with a failure. */
export type FailingName =
  /** The connection is useless. What was received before is being delivered, what was written is on its way. */
  | "failed"
  | "failedSent"
  /** The program has got everything, or wants no more. */
  | "parting";

export interface Failing {
  readonly name: FailingName;
  readonly end: TunnelEnd;
}

export type State = OpenState | Failing;

/** The data of the events that have some. */
interface Payloads {
  /** The peer is accepted. */
  readonly secured: object;
  /** There is a program to relay for. */
  readonly attached: object;
  /**
   * TLS has failed, during or after the handshake: nothing more can be received or sent. What it has
   * decrypted before still counts.
   */
  readonly failed: { readonly detail: string };
  /** A time limit has passed. */
  readonly expired: { readonly end: TunnelEnd };
  readonly aborted: { readonly end: TunnelEnd };
  /** The last byte of the peer has been received, and maybe not read yet. */
  readonly peerEnded: { readonly how: PeerEnd };
  /** The same, and the connection has failed: it was reset, or its time was up. */
  readonly reset: { readonly end: TunnelEnd };
  /** All that the peer sent has been read, and given to the program if there is one. */
  readonly allRead: object;
  /** The program has got all of it, and was shown the end. */
  readonly delivered: object;
  /** The program has closed its output, or was made to, and all that it wrote is on its way. */
  readonly programClosed: object;
  /** The program has closed its input. */
  readonly programStopped: object;
  /**
   * Writing to the network has failed, and that was the end of the connection where there is a `reset`. What
   * the peer has sent before still counts.
   */
  readonly unreachable: { readonly reset: TunnelEnd | undefined };
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
  /** Take no more from the program; `programClosed` follows when all that was taken is on its way. */
  | { readonly do: "endOutput" }
  /** Read from the peer no more, so that it waits. */
  | { readonly do: "pause" }
  /** Half-close the connection. */
  | { readonly do: "shutdownWrite" }
  | { readonly do: "sendCloseNotify" }
  /** Send it in answer to the peer's; the event `answered` follows when it is on its way. */
  | { readonly do: "answerCloseNotify" }
  /** Read and drop what the peer sends, for a limited time. */
  | { readonly do: "linger" }
  /** Limit the time that is left. */
  | { readonly do: "limit" }
  /** Close everything, and tell of the end. Always the last effect of a tunnel. */
  | { readonly do: "finish"; readonly end: TunnelEnd };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** The user's settings for closing. */
export interface ClosingSettings {
  /** Send close_notify when the program has closed, and deliver nothing more. */
  readonly sendsCloseNotify: boolean;
  /** A peer that goes without close_notify has been cut off: fail. */
  readonly enforcesCloseNotify: boolean;
  /** The peer's close_notify ends both directions at once. */
  readonly closesBothWays: boolean;
}
