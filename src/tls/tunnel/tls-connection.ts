/**
 * A tunnel from its order to its end: for UCSPI-TLS, wait until the program asks for it (networking.md,
 * section 16), and until it is said with what; then the handshake, and a notification of its outcome; then
 * relay. What follows from what is decided in `offer.ts`; here the effects are performed.
 */

import type { Timer } from "../../clock/index.ts";
import { SystemError, writeFully } from "../../posix/index.ts";
import type { Fd, Posix, Watch } from "../../posix/index.ts";
import { formatTlsBlock } from "../handshake/block.ts";
import { tlsEdits } from "../handshake/facts.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import type { TlsSide } from "../handshake/handshake.ts";
import type { TunnelEnd } from "./exit.ts";
import { offerStep } from "./offer.ts";
import type { ControlCommand, OfferEffect, OfferEvent, OfferState } from "./offer.ts";
import { Tunnel } from "./tunnel.ts";
import type { TunnelOptions } from "./tunnel.ts";
import { fdsOf } from "./wire.ts";
import type { Ends } from "./wire.ts";

/** The control descriptor of a program of UCSPI-TLS, and the descriptors that it then reads and writes. */
export interface Control {
  readonly socket: Fd;
  readonly local: Ends;
}

/** The handshake begins at once, or when the program asks for it and `secure` is called. */
export type Beginning =
  | { readonly kind: "handshake"; readonly side: TlsSide }
  | { readonly kind: "offer"; readonly control: Control };

export interface TlsConnectionEvents {
  /**
   * The program of UCSPI-TLS wants TLS, or never will. If it does, call `secure` or `abort`, now or later; the
   * time for the handshake is counted from now.
   */
  decided?(accepts: boolean): void;
  /** The handshake is done; call `relay`, unless the connection has a control socket. */
  secured(facts: TlsFacts): void;
  /** Told once, and last. */
  ended(end: TunnelEnd): void;
}

export interface TlsConnectionOptions extends Omit<TunnelOptions, "side"> {
  readonly beginning: Beginning;
}

export class TlsConnection {
  readonly #options: TlsConnectionOptions;
  readonly #events: TlsConnectionEvents;
  #state: OfferState;
  /** Events that effects have caused wait until those are performed. */
  readonly #queue: OfferEvent[] = [];
  #isStepping = false;
  #watch: Watch | undefined;
  #timer: Timer | undefined;
  #tunnel: Tunnel | undefined;

  /**
   * All descriptors are the connection's own from now on. Those of the network, which the program of
   * UCSPI-TLS uses too, stay as they are until there is a handshake.
   */
  constructor(options: TlsConnectionOptions, events: TlsConnectionEvents) {
    this.#options = options;
    this.#events = events;
    const { beginning } = options;
    if (beginning.kind === "offer") {
      this.#state = { name: "offered" };
      this.#awaitCommand(beginning.control.socket);
    } else {
      this.#state = { name: "tunneled", hasProgram: false };
      this.#openTunnel({ ...options, side: beginning.side }, (facts) => events.secured(facts));
    }
  }

  /** Does it have a program, or the promise of one? */
  get hasProgram(): boolean {
    return this.#state.name !== "tunneled" || this.#state.hasProgram;
  }

  /** Has its program asked for TLS, and nobody said yet with what? */
  get isAsking(): boolean {
    return this.#state.name === "asked";
  }

  /** Make the handshake that the program has asked for with this. */
  secure(side: TlsSide): void {
    this.#happen({ kind: "permitted", side });
  }

  relay(local: Ends): void {
    this.#happen({ kind: "attached", local });
  }

  /** End it here and now; `end` is what is told then, rather than that it was aborted. */
  abort(end?: TunnelEnd): void {
    this.#happen({ kind: "aborted", end });
  }

  #awaitCommand(socket: Fd): void {
    const { posix, clock } = this.#options;
    posix.setNonblocking(socket, true);
    this.#watch = posix.watch(socket, { readable: true }, () => {
      const command = readCommand(posix, socket);
      if (command === undefined) return;
      this.#watch?.close();
      this.#happen({ kind: "command", command, nowMs: clock.monotonicMs() });
    });
  }

  /** Take the step that follows from an event, and perform its effects, one event after another. */
  #happen(event: OfferEvent): void {
    this.#queue.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const { state, effects } = offerStep(this.#state, next, this.#options);
        this.#state = state;
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(effect: OfferEffect): void {
    switch (effect.do) {
      case "tellDecision":
        this.#events.decided?.(effect.accepts);
        break;
      case "limit":
        this.#limit();
        break;
      case "openTunnel":
        this.#timer?.cancel();
        this.#answer(effect);
        break;
      case "relay":
        this.#tunnel?.relay(effect.local);
        break;
      case "reject":
        closeEnds(this.#options.posix, effect.local);
        break;
      case "abortTunnel":
        this.#tunnel?.abort(effect.end);
        break;
      case "close":
        this.#timer?.cancel();
        this.#close();
        break;
      case "tellEnd":
        this.#events.ended(effect.end);
        break;
    }
  }

  #limit(): void {
    const { clock, handshakeTimeoutMs } = this.#options;
    if (handshakeTimeoutMs === undefined) return;
    this.#timer = clock.setTimer(handshakeTimeoutMs, () => this.#happen({ kind: "expired" }));
  }

  /** Make the handshake that the program has asked for, in the time that is left. */
  #answer({ side, isToTell, sinceMs }: OfferEffect & { readonly do: "openTunnel" }): void {
    const { beginning, ...options } = this.#options;
    if (beginning.kind !== "offer") return;
    const { posix, clock, handshakeTimeoutMs: limitMs } = options;
    const { socket, local } = beginning.control;
    if (!isToTell) posix.close(socket);
    const usedMs = clock.monotonicMs() - sinceMs;
    const handshakeTimeoutMs = limitMs === undefined ? undefined : Math.max(0, limitMs - usedMs);
    const tunnel = this.#openTunnel({ ...options, side, handshakeTimeoutMs }, (facts) => {
      if (isToTell) tell(posix, socket, facts);
      tunnel.relay(local);
      this.#events.secured(facts);
    });
    void tunnel.handshake().then((handshake) => {
      if (handshake.kind === "secured") return;
      if (isToTell) posix.close(socket);
      closeEnds(posix, local);
    });
  }

  #openTunnel(options: TunnelOptions, secured: (facts: TlsFacts) => void): Tunnel {
    const tunnel = new Tunnel(options);
    this.#tunnel = tunnel;
    void tunnel.handshake().then((handshake) => {
      if (handshake.kind === "secured") secured(handshake.facts);
    });
    void tunnel.ended.then((end) => this.#happen({ kind: "tunnelEnded", end }));
    return tunnel;
  }

  /** Close everything, there being no tunnel. */
  #close(): void {
    this.#watch?.close();
    const { posix, network, beginning } = this.#options;
    closeEnds(posix, network);
    if (beginning.kind !== "offer") return;
    posix.close(beginning.control.socket);
    closeEnds(posix, beginning.control.local);
  }
}

/** One byte, what its absence means, or undefined when there is none yet. */
function readCommand(posix: Posix, socket: Fd): ControlCommand | undefined {
  const byte = new Uint8Array(1);
  try {
    const count = posix.read(socket, byte);
    return count === 0 ? "end" : count && byte[0];
  } catch (error) {
    if (error instanceof SystemError) return "end";
    throw error;
  }
}

/** Write what is known of the connection to a program, which may have gone. Closes the descriptor. */
export function tell(posix: Posix, fd: Fd, facts: TlsFacts): void {
  try {
    writeFully(posix, fd, formatTlsBlock(tlsEdits(facts)));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  } finally {
    posix.close(fd);
  }
}

function closeEnds(posix: Posix, ends: Ends): void {
  for (const fd of fdsOf(ends)) posix.close(fd);
}
