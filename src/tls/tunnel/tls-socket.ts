/** Sockets of node:tls on a wire: when they send, how their peer ends, and what becomes of it. */

import type { TLSSocket } from "node:tls";
import type { Wire } from "./wire.ts";

/** The way in which a peer has ended. */
export type WireEnd =
  | { readonly how: "notified" | "ended" | "cut" }
  /** The connection was lost. */
  | { readonly how: "reset"; readonly error: Error };

/**
 * Keep the tickets of TLS 1.3 until there are bytes of our own for them to go with, see `HeldBytes`. Those
 * of 1.2 are a part of the handshake.
 */
export function holdTickets(socket: TLSSocket, wire: Wire): void {
  socket.prependOnceListener("secure", () => {
    if (socket.getProtocol() === "TLSv1.3") wire.holdOutput();
  });
}

/**
 * Notice the end of what the peer sends when it is received, and not when the last bytes have been read:
 * by then a peer that sent close_notify may have closed the connection as well.
 */
export function watchForEnd(socket: TLSSocket, wire: Wire, ended: (end: WireEnd) => void): void {
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null) {
      const end = endOf(wire);
      wire.stopInput();
      ended(end);
    }
    return push(chunk, encoding);
  };
}

function endOf(wire: Wire): WireEnd {
  if (!wire.readableEnded) return { how: "notified" };
  if (wire.failure !== undefined) return { how: "reset", error: wire.failure };
  return { how: wire.isInsideRecord ? "cut" : "ended" };
}

/**
 * TLS has failed: let all that it has decrypted be read, and then nothing more. Node destroys a client's
 * socket for an error of TLS, with all that has not been read; not this one.
 */
export function endReading(socket: TLSSocket & { _controlReleased?: boolean }): void {
  socket._controlReleased = false;
  socket.push(null);
}
