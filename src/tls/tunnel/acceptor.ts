/** TLS for connections that a function serves in this very process. */

import type { TLSSocket } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import type { EnvironmentEdit, IpAddress } from "../../net/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { tlsEdits } from "../handshake/facts.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import type { TlsHandshake } from "../handshake/handshake.ts";
import { admitPeer } from "../handshake/peer-rules.ts";
import type { AdmitPeer } from "../handshake/peer-rules.ts";
import { ServerContexts } from "../handshake/server-contexts.ts";
import { sourceOfIp } from "../handshake/source.ts";
import { HandshakeTurns } from "../handshake/turns.ts";
import {
  isTrustLost,
  loadServerMaterial,
  pairsOf,
  TRUST_LOST,
  validityWarnings,
  withServerTrust,
} from "../material/material.ts";
import type { ServerMaterial } from "../material/material.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import { MaterialSource } from "../material/material-source.ts";
import { carry, deliverFirst } from "./handled-stream.ts";
import { holdTickets } from "./tls-socket.ts";
import type { Wire } from "./wire.ts";
import { DEFAULT_HANDSHAKE_TIMEOUT_MS } from "../options/declarations.ts";
import type { HandshakeLimits } from "../options/declarations.ts";
import { handshakeLimits, materialOptions, materialVariables } from "../handshake/tls-options.ts";
import type { TlsOptions } from "../handshake/tls-options.ts";

export interface AcceptorOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly tls: TlsOptions;
  /** Rules for the certificates of clients; without them everyone with an accepted one is served. */
  readonly admit: AdmitPeer | undefined;
  /** Files were replaced by some that cannot be used, or a certificate has expired. */
  warn(text: string): void;
}

/** A connection behind its handshake. */
export interface Secured {
  readonly kind: "secured";
  readonly stream: TLSSocket;
  readonly facts: TlsFacts;
  /** The variables that describe it, and those that the rule of the client's certificate sets. */
  readonly edits: readonly EnvironmentEdit[];
}

/** The outcome of a handshake. */
export type HandshakeOutcome =
  | Secured
  /** The connection has been closed. */
  | { readonly kind: "failed"; readonly why: string };

/** Something that can be ended here and now. */
export interface Destroyable {
  destroy(): void;
}

const REFUSED = "too many handshakes at a time";
const CLOSED = "the client closed the connection";

/** The material as it was read, and the objects made of it, which are hidden from JSON. */
interface Loaded {
  readonly material: ServerMaterial;
  readonly contexts: ServerContexts;
}

export class TlsAcceptor {
  readonly #options: AcceptorOptions;
  readonly #source: MaterialSource<Loaded>;
  readonly #turns: HandshakeTurns;
  readonly #limits: HandshakeLimits;

  /** Reads the files. Throws TlsMaterialError, and RangeError for limits that are none. */
  constructor(options: AcceptorOptions) {
    const { posix, clock, tls, warn } = options;
    this.#options = options;
    this.#turns = new HandshakeTurns({ clock });
    this.#limits = handshakeLimits(tls);
    this.#source = new MaterialSource({
      posix,
      clock,
      load: (files) => {
        const material = loadServerMaterial(materialVariables(tls), materialOptions(tls), files);
        const contexts = new ServerContexts(material, clock);
        for (const text of validityWarnings(pairsOf(material), posix.realtimeNs())) warn(text);
        return { material, contexts };
      },
      renewTrust: (before, files) => {
        const material = withServerTrust(before.material, materialVariables(tls), files);
        return { material, contexts: new ServerContexts(material, clock) };
      },
      warn,
    });
  }

  /** The stream of a connection, for `accept`; the descriptor is its own from now on. */
  carry(fd: Fd): Wire {
    return carry(this.#options.posix, fd);
  }

  /**
   * Do the handshake on a connection with this peer, whose owner the socket of TLS becomes; `done` is called
   * once. The result is to be destroyed before the connection when that is ended from here.
   */
  accept(
    connection: Wire,
    peer: IpAddress,
    done: (accepted: HandshakeOutcome) => void,
  ): Destroyable {
    const loaded = this.#loadedNow();
    if (loaded instanceof TlsMaterialError) {
      connection.destroy();
      done({ kind: "failed", why: loaded.message });
      return connection;
    }
    const slot = this.#turns.slot(sourceOfIp(peer), this.#limits);
    let stream: TLSSocket | undefined;
    let isDone = false;
    const timer = this.#limit(() => fail("handshake timed out"));
    function settle(accepted: HandshakeOutcome): void {
      if (isDone) return;
      isDone = true;
      timer?.cancel();
      connection.takeTurns(undefined);
      slot.leave();
      done(accepted);
    }
    function fail(why: string): void {
      if (isDone) return;
      stream?.destroy();
      connection.destroy();
      settle({ kind: "failed", why });
    }
    connection.once("close", () => fail(CLOSED));
    const begin = (start: () => TlsHandshake): void => {
      connection.takeTurns((read) => slot.takeTurn(read));
      const handshake = start();
      stream = handshake.socket;
      listen(handshake, fail);
      connection.once("end", () => fail(CLOSED));
      holdTickets(stream, connection);
      stream.once("secure", () => {
        const outcome = this.#judge(handshake, loaded);
        if (outcome.kind === "failed") {
          fail(outcome.why);
          return;
        }
        deliverFirst(handshake.socket, connection, this.#options.posix);
        settle(outcome);
      });
    };
    slot.enter({
      begin: () =>
        loaded.contexts.open(connection, {
          ended: () => fail(CLOSED),
          ready: (start) => slot.takeTurn(() => begin(start)),
        }),
      refuse: () => fail(REFUSED),
    });
    return { destroy: () => stream?.destroy() };
  }

  /** The trust that counts is that at the end of the handshake, which may begin long after the connection. */
  #judge(handshake: TlsHandshake, before: Loaded): HandshakeOutcome {
    const outcome = judge(handshake, this.#options.admit);
    if (outcome.kind === "failed" || before.material.clientCertificate === "none") return outcome;
    const now = this.#loadedNow();
    if (now instanceof TlsMaterialError) return { kind: "failed", why: now.message };
    const isTold = outcome.facts.peer !== undefined && now !== before;
    if (!isTold || !isTrustLost(before.material, now.material)) return outcome;
    return { kind: "failed", why: TRUST_LOST };
  }

  /** Or the reason why there is nothing. */
  #loadedNow(): Loaded | TlsMaterialError {
    try {
      return this.#source.current();
    } catch (error) {
      if (error instanceof TlsMaterialError) return error;
      throw error;
    }
  }

  #limit(expired: () => void): { cancel(): void } | undefined {
    const { clock, tls } = this.#options;
    const { handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } = tls;
    return handshakeTimeoutMs === Infinity
      ? undefined
      : clock.setTimer(handshakeTimeoutMs, expired);
  }
}

function listen(handshake: TlsHandshake, fail: (why: string) => void): void {
  const { socket } = handshake;
  socket.on("error", (error) => fail(handshake.describeError(error)));
  // A socket that belongs to no tls.Server tells errors of the engine by the second name only.
  socket.on("_tlsError", (error: unknown) => fail(handshake.describeError(error)));
  socket.once("close", () => fail(CLOSED));
}

/** The outcome of a handshake that is done. */
function judge(handshake: TlsHandshake, admit: AdmitPeer | undefined): HandshakeOutcome {
  const why = handshake.verdict();
  if (why !== undefined) return { kind: "failed", why };
  const facts = handshake.facts();
  const admission = admitPeer(facts.peer, admit);
  if (admission.kind !== "admit") return { kind: "failed", why: admission.reason };
  const edits = [...tlsEdits(facts), ...admission.edits];
  return { kind: "secured", stream: handshake.socket, facts, edits };
}
