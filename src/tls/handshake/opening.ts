/** The beginning of a connection of TLS as a server sees it: wait for the ClientHello, and leave it unread. */

import type { Duplex } from "node:stream";
import { ClientHelloReader } from "./client-hello.ts";
import type { HelloProgress } from "./client-hello.ts";

/** A whole ClientHello, or bytes that are none. */
export type Opening = Exclude<HelloProgress, { readonly kind: "more" }>;

export interface OpeningEvents {
  /** The bytes are in the stream again, for OpenSSL to read. Called once. */
  opened(opening: Opening): void;
  /** The other end has closed before it sent as much. Called once, in place of `opened`. */
  ended(): void;
}

/**
 * Read as much of a connection as its ClientHello takes, OPENING_BYTES_MAX and what came with it at most. Time
 * limits and errors are the caller's; nothing is called for a stream that is destroyed.
 */
export function awaitClientHello(connection: Duplex, events: OpeningEvents): void {
  const reader = new ClientHelloReader();
  const stop = (): void => {
    connection.off("readable", look);
    connection.off("end", endEarly);
  };
  const endEarly = (): void => {
    stop();
    events.ended();
  };
  const look = (): void => {
    for (let chunk = next(connection); chunk !== null; chunk = next(connection)) {
      const progress = reader.take(chunk);
      if (progress.kind === "more") continue;
      stop();
      connection.unshift(reader.bytes);
      events.opened(progress);
      return;
    }
  };
  connection.on("readable", look);
  connection.on("end", endEarly);
}

function next(connection: Duplex): Uint8Array | null {
  return connection.read() as Uint8Array | null;
}
