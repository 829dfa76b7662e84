/** Handshakes as those who have a connection to secure see them. */

import type { TLSSocket } from "node:tls";
import type { TlsFacts } from "./facts.ts";
import type { AheadStream } from "./opening.ts";

/**
 * One of the two sides of TLS. A client begins at once; a server waits for the first message, by which it
 * chooses what the handshake is made with.
 */
export interface TlsSide {
  readonly role: "server" | "client";
  /** Wait for what this side has to know first, which may be there before this returns. */
  open(wire: AheadStream, events: SideEvents): void;
}

export interface SideEvents {
  /**
   * The handshake can be made: `start` is to be called once, now or later, unless the connection has ended
   * meanwhile. It is the first work that costs more than a few microseconds.
   */
  ready(start: () => TlsHandshake): void;
  /** The other side has closed the connection before. Called in place of `ready`. */
  ended(): void;
}

/** A handshake that has begun. */
export interface TlsHandshake {
  /** `secure` and its errors tell how the handshake ends. */
  readonly socket: TLSSocket;
  /**
   * The reason why the other side is not accepted, once the handshake is done; undefined: it is. Node finishes
   * a handshake whatever it thinks of the peer, so nothing is let through before.
   */
  verdict(): string | undefined;
  /** The results, once the handshake is done. */
  facts(): TlsFacts;
  /** A failure of the socket in a few words. */
  describeError(error: unknown): string;
}
