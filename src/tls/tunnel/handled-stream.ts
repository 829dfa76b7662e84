/** Sockets of node:tls for functions, which get all that a peer has sent before they hear of its failure. */

import type { TLSSocket } from "node:tls";
import type { Fd, Posix } from "../../posix/index.ts";
import { endReading, watchForEnd } from "./tls-socket.ts";
import { Wire } from "./wire.ts";

/** The stream below the TLS of a connection that a function serves. It owns the descriptor. */
export function carry(posix: Posix, fd: Fd): Wire {
  posix.setNonblocking(fd, true);
  const wire = new Wire(posix, { read: fd, write: fd }, { moved: ignore, writeFailed: ignore });
  wire.on("error", ignore);
  return wire;
}

/**
 * Prepare a socket whose handshake is done. A peer that fails ends what can be read like any other, but in
 * the place of `end` the socket is destroyed for the failure. Options of the socket below work as usual.
 */
export function deliverFirst(stream: TLSSocket, wire: Wire, posix: Posix): void {
  watchForEnd(stream, wire, (end) => {
    if (end.how === "reset") failAtEnd(stream, end.error);
    else if (end.how === "cut")
      failAtEnd(stream, new Error("the connection was cut inside a record"));
  });
  stream.on("_tlsError", (error: unknown) => {
    if (error instanceof Error) failAtEnd(stream, error);
    endReading(stream);
  });
  releaseByWriting(stream, wire);
  stream.setNoDelay = (on = true) => {
    if (!wire.destroyed) posix.setNoDelay(wire.fd, on);
    return stream;
  };
  stream.setKeepAlive = (on = true) => {
    if (!wire.destroyed) posix.setKeepAlive(wire.fd, on);
    return stream;
  };
}

function failAtEnd(stream: TLSSocket, failure: Error): void {
  if (stream.readableEnded) return;
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...values: unknown[]) => {
    if (event !== "end") return emit(event, ...values);
    stream.destroy(failure);
    return true;
  };
}

/**
 * What is written while the peer cannot be reached is lost, and the function hears of it at the end of what
 * it reads; at once if it has not begun to read.
 */
function releaseByWriting(stream: TLSSocket, wire: Wire): void {
  const before = (): void => {
    wire.releaseOutput();
    const isRead = stream.readableFlowing !== null || stream.listenerCount("readable") > 0;
    if (wire.hasLostPeer && !isRead) {
      stream.destroy(wire.failure ?? new Error("the peer cannot be reached"));
    }
  };
  const [write, writev, final] = [stream._write, stream._writev, stream._final];
  stream._write = (...words) => {
    before();
    write.call(stream, ...words);
  };
  stream._writev = (...words) => {
    before();
    writev?.call(stream, ...words);
  };
  stream._final = (done) => {
    wire.releaseOutput();
    final.call(stream, done);
  };
}

function ignore(): void {
  return undefined;
}
