/**
 * One TLS connection between the network and a program on two pipes: the handshake, the copying both
 * ways, and how each side is told that the other has closed (networking.md, sections 14.1 and 14.2).
 *
 * What is read on one side is read only when all that was read before has been taken by the other, so
 * a slow reader costs a bounded amount of memory and slows the writer at the other end.
 */

import type { TLSSocket } from "node:tls";
import type { Clock, Timer } from "../../clock/index.ts";
import type { Posix, SystemError } from "../../posix/index.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import type { TlsParty } from "../handshake/party.ts";
import { Program } from "./program.ts";
import { Wire } from "./wire.ts";
import type { Ends } from "./wire.ts";

/** The exit codes of section 14.3. */
export const TUNNEL_EXIT = {
  ok: 0,
  material: 96,
  engine: 97,
  tls: 98,
  usage: 100,
  system: 111,
} as const;

/** A TLSSocket that belongs to no tls.Server tells errors of the engine by the second name only. */
const ERRORS = ["error", "_tlsError"];

/** How long a peer may go on sending to a program that is gone, so that it gets what was sent to it. */
const LINGER_MS = 10_000;

/** What the user decides about a tunnel. Times in milliseconds; undefined is without limit. */
export interface TunnelSettings {
  readonly handshakeTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  /** Is a handshake that took too long worth a message? */
  readonly tellsTimeout: boolean;
  /** Say goodbye (close_notify) when the program has closed, and listen no longer. */
  readonly sendsCloseNotify: boolean;
  /** A peer that goes without close_notify has been cut off: fail. */
  readonly enforcesCloseNotify: boolean;
  /** The peer's close_notify ends both directions at once. */
  readonly closesBothWays: boolean;
}

export interface TunnelOptions extends TunnelSettings {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly party: TlsParty;
  /** The tunnel's own from now on. */
  readonly network: Ends;
}

/** How a tunnel ended: an exit code, and what to say about it unless all is well. */
export interface TunnelEnd {
  readonly exitCode: number;
  readonly message: string | undefined;
}

export type Handshake =
  | { readonly kind: "secured"; readonly facts: TlsFacts }
  | { readonly kind: "failed"; readonly end: TunnelEnd };

const WELL: TunnelEnd = { exitCode: TUNNEL_EXIT.ok, message: undefined };
const ABORTED: TunnelEnd = { exitCode: TUNNEL_EXIT.tls, message: undefined };

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #wire: Wire;
  readonly #socket: TLSSocket;
  readonly #handshake: Promise<Handshake>;
  readonly #ended: Promise<TunnelEnd>;
  #settleHandshake: (handshake: Handshake) => void = ignore;
  #settleEnd: (end: TunnelEnd) => void = ignore;
  #state: "handshake" | "secured" | "relaying" | "lingering" | "over" = "handshake";
  #timer: Timer | undefined;
  #lastMoveMs = 0;
  #program: Program | undefined;
  /** The peer has said close_notify, rather than just gone. */
  #isFarewell = false;
  /** What the peer sends: it has ended and was delivered, or nobody wants it. */
  #receiving: "open" | "ended" | "unwanted" = "open";
  /** The peer has been told that nothing more will come, or cannot be reached. */
  #isSendDone = false;

  /** Begins the handshake at once. */
  constructor(options: TunnelOptions) {
    this.#options = options;
    this.#handshake = new Promise((resolve) => (this.#settleHandshake = resolve));
    this.#ended = new Promise((resolve) => (this.#settleEnd = resolve));
    makeNonblocking(options.posix, options.network);
    this.#wire = new Wire(options.posix, options.network, {
      moved: () => this.#moved(),
      readFailed: (error) => this.#fail(system("read from remote", error)),
      writeFailed: () => this.#writeFailed(),
    });
    this.#wire.on("error", ignore);
    this.#socket = options.party.start(this.#wire);
    this.#listen();
    this.#setTimer(options.handshakeTimeoutMs, () => {
      this.#fail(tls(options.tellsTimeout ? "handshake timed out" : undefined));
    });
  }

  /** What came of the handshake. A tunnel whose handshake failed is over. */
  handshake(): Promise<Handshake> {
    return this.#handshake;
  }

  /** How it ended; never rejects. */
  get ended(): Promise<TunnelEnd> {
    return this.#ended;
  }

  /** Copy between the peer and the program behind these descriptors, which are the tunnel's from now on. */
  relay(local: Ends): void {
    makeNonblocking(this.#options.posix, local);
    const program = new Program(this.#options.posix, local, {
      moved: () => this.#moved(),
      arrived: (bytes, taken) => this.#socket.write(bytes, taken),
      closed: () => this.#programClosed(),
      stoppedReading: () => this.#programStoppedReading(),
      isFull: () => this.#socket.pause(),
      hasRoom: () => this.#socket.resume(),
      delivered: () => this.#delivered(),
    });
    if (this.#state !== "secured") {
      close(program);
      return;
    }
    this.#state = "relaying";
    this.#program = program;
    this.#lastMoveMs = this.#options.clock.monotonicMs();
    this.#setTimer(this.#options.idleTimeoutMs, () => this.#checkIdle());
    program.start();
    if (this.#isSendDone) program.closeOutput();
    this.#socket.on("data", (bytes: Buffer) => {
      if (this.#receiving === "open") program.deliver(bytes);
    });
    // A peer that has nothing to say may have ended already.
    if (this.#socket.readableEnded) program.endDelivery();
    else this.#socket.on("end", () => program.endDelivery());
  }

  /** End it here and now. */
  abort(end: TunnelEnd = ABORTED): void {
    this.#finish(end);
  }

  #listen(): void {
    const socket = this.#socket;
    const { describeError } = this.#options.party;
    socket.once("secure", () => this.#secured());
    for (const event of ERRORS) {
      socket.on(event, (error: unknown) => this.#failTls(describeError(error)));
    }
    socket.on("close", () => this.#failTls("the peer closed the connection"));
    socket.once("end", () => {
      if (this.#state === "handshake") this.#failTls("the peer closed the connection");
    });
    watchForFarewell(socket, () => {
      this.#isFarewell ||= !this.#wire.readableEnded;
    });
  }

  #secured(): void {
    if (this.#state !== "handshake") return;
    const why = this.#options.party.verdict(this.#socket);
    if (why !== undefined) {
      this.#failTls(why);
      return;
    }
    this.#timer?.cancel();
    this.#state = "secured";
    this.#settleHandshake({ kind: "secured", facts: this.#options.party.facts(this.#socket) });
  }

  /** The program has closed, and all that it wrote is on its way. */
  #programClosed(): void {
    this.#isSendDone = true;
    if (this.#options.sendsCloseNotify) {
      this.#program?.closeInput();
      this.#receiving = "unwanted";
      this.#socket.end();
    } else {
      this.#wire.shutdownWrite();
    }
    this.#proceed();
  }

  /** Nobody reads what the peer sends: let it wait. */
  #programStoppedReading(): void {
    this.#receiving = "unwanted";
    this.#socket.pause();
    this.#proceed();
  }

  /** The peer cannot be reached any more. What it has sent before still counts. */
  #writeFailed(): void {
    this.#isSendDone = true;
    this.#program?.closeOutput();
    this.#proceed();
  }

  /** The program has got all that the peer sent, and knows that it was all. */
  #delivered(): void {
    this.#receiving = "ended";
    if (this.#state === "lingering") this.#finish(WELL);
    else if (this.#isFarewell) this.#answerFarewell();
    else if (this.#wire.isInsideRecord) this.#failTls("the connection was cut inside a record");
    else if (this.#options.enforcesCloseNotify) {
      this.#fail(tls("remote closed connection without a close_notify"));
    } else this.#proceed();
  }

  #answerFarewell(): void {
    if (!this.#options.closesBothWays) {
      this.#proceed();
      return;
    }
    this.#program?.closeOutput();
    this.#linger(); // a peer that reads nothing more takes no close_notify either
    this.#socket.end(() => this.#finish(WELL));
  }

  #proceed(): void {
    if (!this.#isSendDone || this.#state !== "relaying") return;
    if (this.#receiving === "ended") this.#finish(WELL);
    else if (this.#receiving === "unwanted") this.#linger();
  }

  /**
   * Nothing more is for the program. To close now, with bytes of the peer unread, would reset the
   * connection and take away what the peer has not read yet: let it finish, for a while.
   */
  #linger(): void {
    this.#state = "lingering";
    this.#setTimer(LINGER_MS, () => this.#finish(WELL));
    this.#socket.resume();
  }

  #moved(): void {
    if (this.#options.idleTimeoutMs !== undefined) {
      this.#lastMoveMs = this.#options.clock.monotonicMs();
    }
  }

  #checkIdle(): void {
    const { idleTimeoutMs = Infinity, clock } = this.#options;
    const leftMs = this.#lastMoveMs + idleTimeoutMs - clock.monotonicMs();
    if (leftMs > 0) this.#setTimer(leftMs, () => this.#checkIdle());
    else this.#fail(tls(`idle for ${idleTimeoutMs} milliseconds`));
  }

  #setTimer(delayMs: number | undefined, expired: () => void): void {
    this.#timer?.cancel();
    this.#timer =
      delayMs === undefined ? undefined : this.#options.clock.setTimer(delayMs, expired);
  }

  #failTls(detail: string): void {
    const when = this.#state === "handshake" ? "during" : "after";
    this.#fail(tls(`the TLS engine closed the connection ${when} the handshake: ${detail}`));
  }

  #fail(end: TunnelEnd): void {
    this.#finish(this.#state === "lingering" ? WELL : end);
  }

  #finish(end: TunnelEnd): void {
    if (this.#state === "over") return;
    const before = this.#state;
    this.#state = "over";
    this.#timer?.cancel();
    if (this.#program !== undefined) close(this.#program);
    this.#socket.destroy();
    this.#wire.destroy();
    if (before === "handshake") this.#settleHandshake({ kind: "failed", end });
    this.#settleEnd(end);
  }
}

function makeNonblocking(posix: Posix, { read, write }: Ends): void {
  posix.setNonblocking(read, true);
  posix.setNonblocking(write, true);
}

function close(program: Program): void {
  program.closeInput();
  program.closeOutput();
}

/**
 * Notice the end of what the peer says when it comes to pass, and not when the last bytes have been
 * read: by then the connection may have ended as well.
 */
function watchForFarewell(socket: TLSSocket, ended: () => void): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null) ended();
    return push(chunk, encoding);
  };
}

function tls(message: string | undefined): TunnelEnd {
  return { exitCode: TUNNEL_EXIT.tls, message };
}

function system(action: string, { message }: SystemError): TunnelEnd {
  return { exitCode: TUNNEL_EXIT.system, message: `unable to ${action}: ${message}` };
}

function ignore(): void {
  return undefined;
}
