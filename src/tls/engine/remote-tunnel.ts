/** A tunnel in the engine, as the server sees it. */

import type { TlsFacts } from "../handshake/facts.ts";
import type { Ends } from "../tunnel/wire.ts";
import type { EngineConfiguration, Reply } from "./messages.ts";

/** The outcome of the handshake of a tunnel. */
export type Securing =
  | { readonly kind: "secured"; readonly facts: TlsFacts }
  | { readonly kind: "failed"; readonly exitCode: number };

export interface RemoteTunnel {
  /**
   * Has the program asked for TLS? Undefined where it was not asked, or that is unknown. One that has waits for
   * `secure` or `abort`.
   */
  readonly decided: Promise<boolean | undefined>;
  readonly secured: Promise<Securing>;
  /** Never rejects. */
  readonly ended: Promise<void>;
  /** Make the handshake that the program has asked for with this configuration. */
  secure(configuration: EngineConfiguration): void;
  /** The program's pipes, which are the tunnel's from now on. */
  relay(local: Ends): void;
  abort(): void;
}

/** The requests of a tunnel to its engine. */
export type TunnelRequests = Pick<RemoteTunnel, "secure" | "relay" | "abort">;

/** Replies about a tunnel. */
export type TunnelReply = Exclude<Reply, { readonly kind: "pong" }>;

export class PendingTunnel implements RemoteTunnel {
  readonly decided: Promise<boolean | undefined>;
  readonly secured: Promise<Securing>;
  readonly ended: Promise<void>;
  readonly #requests: TunnelRequests;
  #decide: (accepts: boolean | undefined) => void = () => undefined;
  #secure: (securing: Securing) => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(requests: TunnelRequests) {
    this.#requests = requests;
    this.decided = new Promise((resolve) => (this.#decide = resolve));
    this.secured = new Promise((resolve) => (this.#secure = resolve));
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  secure(configuration: EngineConfiguration): void {
    this.#requests.secure(configuration);
  }

  relay(local: Ends): void {
    this.#requests.relay(local);
  }

  abort(): void {
    this.#requests.abort();
  }

  /** The handshake is given up, whatever the engine says of it later. */
  failHandshake(exitCode: number): void {
    this.#secure({ kind: "failed", exitCode });
  }

  take(reply: TunnelReply): void {
    switch (reply.kind) {
      case "accepted":
      case "declined":
        this.#decide(reply.kind === "accepted");
        break;
      case "secured":
        this.#secure({ kind: "secured", facts: reply.facts });
        break;
      case "ended":
        this.end(reply.exitCode);
        break;
    }
  }

  end(exitCode: number): void {
    this.#decide(undefined);
    this.failHandshake(exitCode);
    this.#end();
  }
}
