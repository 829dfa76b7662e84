/**
 * One TLS connection between the network and a program on two pipes: the handshake, the copying both
 * ways, and how each side is told that the other has closed. What follows from what is decided in
 * `machine.ts`; here the effects are performed, and bytes are copied.
 *
 * One side is read only when the other has taken all earlier bytes, so
 * a slow reader costs a bounded amount of memory and slows the writer at the other end.
 */

import type { TLSSocket } from "node:tls";
import type { Clock, Timer } from "../../clock/index.ts";
import type { Posix } from "../../posix/index.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import type { TlsHandshake, TlsSide } from "../handshake/handshake.ts";
import { FREE_SLOT } from "../handshake/turns.ts";
import type { HandshakeSlot } from "../handshake/turns.ts";
import { tlsFailure, TUNNEL_EXIT } from "./exit.ts";
import type { TunnelEnd } from "./exit.ts";
import { step } from "./machine.ts";
import type { ClosingSettings, Effect, Event, State } from "./machine.ts";
import { Program } from "./program.ts";
import { endReading, holdTickets, watchForEnd } from "./tls-socket.ts";
import { Wire } from "./wire.ts";
import type { Ends } from "./wire.ts";

/** A TLSSocket that belongs to no tls.Server tells errors of the engine by the second name only. */
const ERRORS = ["error", "_tlsError"];

/**
 * The time for which a peer may go on sending after the program has ended, so that it gets the last
 * bytes.
 */
const LINGER_MS = 10_000;

/** The user's settings for a tunnel. Times in milliseconds; undefined is without limit. */
export interface TunnelSettings extends ClosingSettings {
  readonly handshakeTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  /** Is a handshake that took too long worth a message? */
  readonly tellsTimeout: boolean;
}

export interface TunnelOptions extends TunnelSettings {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly side: TlsSide;
  /** Its place among other handshakes; undefined where there are no others to consider. */
  readonly slot?: HandshakeSlot | undefined;
  /** The tunnel's own from now on. */
  readonly network: Ends;
}

export type Handshake =
  | { readonly kind: "secured"; readonly facts: TlsFacts }
  | { readonly kind: "failed"; readonly end: TunnelEnd };

/** Whoever keeps the slots says so, for all that were refused. */
const REFUSED: TunnelEnd = { exitCode: TUNNEL_EXIT.tls, message: undefined };

const ABORTED: TunnelEnd = { exitCode: TUNNEL_EXIT.tls, message: undefined };

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #wire: Wire;
  readonly #slot: HandshakeSlot;
  /** Undefined until a server has read its client's first message. */
  #begun: TlsHandshake | undefined;
  readonly #handshake: Promise<Handshake>;
  readonly #ended: Promise<TunnelEnd>;
  #settleHandshake: (handshake: Handshake) => void = ignore;
  #settleEnd: (end: TunnelEnd) => void = ignore;
  #state: State = "handshake";
  /** Events that effects have caused wait until those are performed. */
  readonly #events: Event[] = [];
  #isStepping = false;
  #timer: Timer | undefined;
  #lastMoveMs = 0;
  /** The target of the effects for the program, from `relay` on. */
  #program: Program | undefined;

  /** Begins the handshake as soon as its side can; the time for it is counted from now. */
  constructor(options: TunnelOptions) {
    this.#options = options;
    this.#handshake = new Promise((resolve) => (this.#settleHandshake = resolve));
    this.#ended = new Promise((resolve) => (this.#settleEnd = resolve));
    makeNonblocking(options.posix, options.network);
    this.#wire = new Wire(options.posix, options.network, {
      moved: () => this.#moved(),
      writeFailed: () => this.#happen({ kind: "unreachable", reset: this.#resetEnd() }),
    });
    this.#wire.on("error", ignore);
    this.#setTimer(options.handshakeTimeoutMs, () => {
      this.#expire(options.tellsTimeout ? "handshake timed out" : undefined);
    });
    this.#slot = options.slot ?? FREE_SLOT;
    this.#slot.enter({ begin: () => this.#open(), refuse: () => this.abort(REFUSED) });
  }

  /** The outcome of the handshake. A tunnel whose handshake failed is over. */
  handshake(): Promise<Handshake> {
    return this.#handshake;
  }

  /** Its end; never rejects. */
  get ended(): Promise<TunnelEnd> {
    return this.#ended;
  }

  /**
   * Copy between the peer and the program behind these descriptors, which are the tunnel's from now on.
   * To be called once, when the handshake is done.
   */
  relay(local: Ends): void {
    makeNonblocking(this.#options.posix, local);
    this.#program = new Program(this.#options.posix, local, {
      moved: () => this.#moved(),
      arrived: (bytes, taken) => {
        this.#wire.releaseOutput();
        this.#socket.write(bytes, taken);
      },
      closed: () => this.#happen({ kind: "programClosed" }),
      stoppedReading: () => this.#happen({ kind: "programStopped" }),
      isFull: () => this.#socket.pause(),
      hasRoom: () => this.#socket.resume(),
      delivered: () => this.#happen({ kind: "delivered" }),
    });
    this.#happen({ kind: "attached" });
  }

  /** End it here and now. */
  abort(end: TunnelEnd = ABORTED): void {
    this.#happen({ kind: "aborted", end });
  }

  #open(): void {
    this.#options.side.open(this.#wire, {
      ready: (start) => this.#slot.takeTurn(() => this.#begin(start)),
      ended: () => this.#endedEarly(),
    });
  }

  /** Of TLS. There is one before the state says that the handshake is done. */
  get #socket(): TLSSocket {
    if (this.#begun === undefined) throw new Error("the handshake has not begun");
    return this.#begun.socket;
  }

  #begin(start: () => TlsHandshake): void {
    if (this.#state === "over") return;
    this.#wire.takeTurns((read) => this.#slot.takeTurn(read));
    const handshake = start();
    const { socket } = handshake;
    this.#begun = handshake;
    if (this.#options.side.role === "server") holdTickets(socket, this.#wire);
    socket.once("secure", () => this.#judge(handshake));
    for (const event of ERRORS) {
      socket.on(event, (error: unknown) => this.#engineFailed(handshake.describeError(error)));
    }
    socket.on("close", () => {
      this.#failTls("the peer closed the connection");
      this.#happen({ kind: "allRead" });
    });
    socket.once("end", () => this.#happen({ kind: "allRead" }));
    watchForEnd(socket, this.#wire, (end) => {
      if (end.how !== "reset") this.#happen({ kind: "peerEnded", how: end.how });
      else this.#happen({ kind: "reset", end: readFailure(end.error) });
    });
  }

  /** The peer has ended before the handshake began. */
  #endedEarly(): void {
    const reset = this.#resetEnd();
    this.#happen(reset === undefined ? { kind: "allRead" } : { kind: "reset", end: reset });
  }

  /** TLS can go on no more; all that it has decrypted is in the socket, and is to be read first. */
  #engineFailed(detail: string): void {
    this.#failTls(detail);
    if (this.#state === "over") return;
    endReading(this.#socket);
  }

  /** The handshake is done: is the peer accepted? */
  #judge(handshake: TlsHandshake): void {
    if (this.#state === "over") return;
    const why = handshake.verdict();
    if (why === undefined) this.#happen({ kind: "secured" });
    else this.#failTls(why);
  }

  #resetEnd(): TunnelEnd | undefined {
    const { failure } = this.#wire;
    return failure && readFailure(failure);
  }

  #failTls(detail: string): void {
    this.#happen({ kind: "failed", detail });
  }

  #expire(message: string | undefined): void {
    this.#happen({ kind: "expired", end: tlsFailure(message) });
  }

  /** Take the step that follows from an event, and perform its effects, one event after another. */
  #happen(event: Event): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const { state, effects } = step(this.#state, next, this.#options);
        this.#state = state;
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case "tellSecured":
        this.#timer?.cancel();
        this.#wire.takeTurns(undefined);
        this.#slot.leave();
        if (this.#begun !== undefined) {
          this.#settleHandshake({ kind: "secured", facts: this.#begun.facts() });
        }
        break;
      case "tellFailed":
        this.#settleHandshake({ kind: "failed", end: effect.end });
        break;
      case "startProgram":
        this.#startProgram();
        break;
      case "rejectProgram":
        this.#closeProgram();
        break;
      case "endDelivery":
        this.#program?.endDelivery();
        break;
      case "closeInput":
        this.#program?.closeInput();
        break;
      case "closeOutput":
        this.#program?.closeOutput();
        break;
      case "endOutput":
        if (this.#program === undefined) this.#happen({ kind: "programClosed" });
        else this.#program.endOutput();
        break;
      case "pause":
        this.#socket.pause();
        break;
      case "shutdownWrite":
        this.#wire.shutdownWrite();
        break;
      case "sendCloseNotify":
        this.#wire.releaseOutput();
        this.#socket.end();
        break;
      case "answerCloseNotify":
        this.#wire.releaseOutput();
        this.#socket.end(() => this.#happen({ kind: "answered" }));
        break;
      case "linger":
        this.#limit();
        this.#socket.resume();
        break;
      case "limit":
        this.#limit();
        break;
      case "finish":
        this.#timer?.cancel();
        this.#closeProgram();
        this.#begun?.socket.destroy();
        this.#wire.destroy();
        this.#slot.leave();
        this.#settleEnd(effect.end);
        break;
    }
  }

  #limit(): void {
    this.#setTimer(LINGER_MS, () => this.#expire("the peer does not end"));
  }

  #startProgram(): void {
    this.#lastMoveMs = this.#options.clock.monotonicMs();
    this.#setTimer(this.#options.idleTimeoutMs, () => this.#checkIdle());
    this.#program?.start();
    this.#socket.on("data", (bytes: Buffer) => this.#program?.deliver(bytes));
    // A peer that has nothing to say may have ended already.
    if (this.#socket.readableEnded) this.#happen({ kind: "allRead" });
  }

  #closeProgram(): void {
    this.#program?.closeInput();
    this.#program?.closeOutput();
  }

  #moved(): void {
    if (this.#options.idleTimeoutMs !== undefined) {
      this.#lastMoveMs = this.#options.clock.monotonicMs();
    }
  }

  #checkIdle(): void {
    const { idleTimeoutMs = Infinity, clock } = this.#options;
    const leftMs = this.#lastMoveMs + idleTimeoutMs - clock.monotonicMs();
    if (leftMs > 0) {
      this.#setTimer(leftMs, () => this.#checkIdle());
      return;
    }
    this.#expire(`idle for ${idleTimeoutMs} milliseconds`);
  }

  #setTimer(delayMs: number | undefined, expired: () => void): void {
    this.#timer?.cancel();
    this.#timer =
      delayMs === undefined ? undefined : this.#options.clock.setTimer(delayMs, expired);
  }
}

function makeNonblocking(posix: Posix, { read, write }: Ends): void {
  posix.setNonblocking(read, true);
  posix.setNonblocking(write, true);
}

function readFailure({ message }: Error): TunnelEnd {
  return { exitCode: TUNNEL_EXIT.system, message: `unable to read from remote: ${message}` };
}

function ignore(): void {
  return undefined;
}
