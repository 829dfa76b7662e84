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
 * A stream whose first bytes can be read before it is used as a stream. Without that, with `readable` and
 * `unshift`, every handshake cost some percent more: each changes the mode of the stream.
 */
export interface AheadStream extends Duplex {
  /** To be called before anything else reads. */
  readAhead(reader: AheadReader): void;
  /** The end of reading ahead: whoever reads the stream gets these bytes first. They are copied. */
  unread(bytes: Uint8Array): void;
}

export interface AheadReader {
  /** Bytes that change when this has returned. */
  received(bytes: Uint8Array): void;
  /** No more will come. Called once, and not after `unread`. */
  ended(): void;
}

/**
 * Read as much of a connection as its ClientHello takes, OPENING_BYTES_MAX and what came with it at most. Time
 * limits and errors are the caller's; nothing is called for a stream that is destroyed.
 */
export function awaitClientHello(connection: AheadStream, events: OpeningEvents): void {
  const reader = new ClientHelloReader();
  connection.readAhead({
    received(bytes) {
      const progress = reader.take(bytes);
      if (progress.kind === "more") return;
      connection.unread(reader.bytes);
      events.opened(progress);
    },
    ended: () => events.ended(),
  });
}
