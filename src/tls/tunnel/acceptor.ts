/** TLS for connections that a function serves in this very process. */

import type { TLSSocket } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { ServerContexts } from "../handshake/contexts.ts";
import { describeTlsError } from "../handshake/describe-error.ts";
import { tlsEdits } from "../handshake/facts.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import { admitPeer } from "../handshake/peer-rules.ts";
import type { AdmitPeer } from "../handshake/peer-rules.ts";
import { loadServerMaterial, pairsOf, validityWarnings } from "../material/material.ts";
import type { ServerMaterial } from "../material/material.ts";
import { MaterialSource } from "../material/material-source.ts";
import { carry, deliverFirst } from "./handled-stream.ts";
import { holdTickets } from "./tls-socket.ts";
import type { Wire } from "./wire.ts";
import { DEFAULT_HANDSHAKE_TIMEOUT_MS } from "../options/declarations.ts";
import { materialOptions, materialVariables } from "../handshake/tls-options.ts";
import type { TlsOptions } from "../handshake/tls-options.ts";

export interface AcceptorOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly tls: TlsOptions;
  /** Rules for the certificates of clients; without them everyone with an accepted one is served. */
  readonly admit: AdmitPeer | undefined;
  /** Files in use were replaced by some that cannot be used, or a certificate has expired. */
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

/** The material as it was read, and the objects made of it, which are hidden from JSON. */
interface Loaded {
  readonly material: ServerMaterial;
  readonly contexts: ServerContexts;
}

export class TlsAcceptor {
  readonly #options: AcceptorOptions;
  readonly #source: MaterialSource<Loaded>;

  /** Reads the files. Throws TlsMaterialError. */
  constructor(options: AcceptorOptions) {
    const { posix, clock, tls, warn } = options;
    this.#options = options;
    this.#source = new MaterialSource({
      posix,
      clock,
      load: (files) => {
        const material = loadServerMaterial(materialVariables(tls), materialOptions(tls), files);
        const contexts = new ServerContexts(material, clock);
        for (const text of validityWarnings(pairsOf(material), posix.realtimeNs())) warn(text);
        return { material, contexts };
      },
      onBroken: ({ message }) => warn(`${message}; the files read before stay in use`),
    });
  }

  /** The stream of a connection, for `accept`; the descriptor is its own from now on. */
  carry(fd: Fd): Wire {
    return carry(this.#options.posix, fd);
  }

  /** Do the handshake on a connection, whose owner the socket of TLS becomes; `done` is called once. */
  accept(connection: Wire, done: (accepted: HandshakeOutcome) => void): TLSSocket {
    const { contexts } = this.#source.current();
    const stream = contexts.accept(connection);
    let isDone = false;
    const timer = this.#limit(() => fail("handshake timed out"));
    function settle(accepted: HandshakeOutcome): void {
      if (isDone) return;
      isDone = true;
      timer?.cancel();
      done(accepted);
    }
    function fail(why: string): void {
      if (isDone) return;
      stream.destroy();
      connection.destroy();
      settle({ kind: "failed", why });
    }
    // A socket that belongs to no tls.Server tells errors of the engine by the second name only.
    stream.on("error", (error) => fail(describeTlsError(error)));
    stream.on("_tlsError", (error: unknown) => {
      fail(describeTlsError(error));
    });
    stream.once("close", () => fail("the client closed the connection"));
    connection.once("end", () => fail("the client closed the connection"));
    holdTickets(stream, connection);
    stream.once("secure", () => {
      const why = contexts.verdict(stream);
      if (why !== undefined) {
        fail(why);
        return;
      }
      const facts = contexts.facts(stream);
      const admission = admitPeer(facts.peer, this.#options.admit);
      if (admission.kind !== "admit") {
        fail(admission.reason);
        return;
      }
      deliverFirst(stream, connection, this.#options.posix);
      settle({ kind: "secured", stream, facts, edits: [...tlsEdits(facts), ...admission.edits] });
    });
    return stream;
  }

  #limit(expired: () => void): { cancel(): void } | undefined {
    const { clock, tls } = this.#options;
    const { handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } = tls;
    return handshakeTimeoutMs === Infinity
      ? undefined
      : clock.setTimer(handshakeTimeoutMs, expired);
  }
}
