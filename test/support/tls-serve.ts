/** A server of TLS for tests, made of node:tls, on a port of 127.0.0.1. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { Server, TlsOptions, TLSSocket } from "node:tls";
import type { Certificate } from "./certificates.ts";

/** Serve every client that gets through the handshake. */
export async function serveTls(
  certificate: Certificate,
  serve: (socket: TLSSocket) => void,
  options: TlsOptions = {},
): Promise<TlsPeer> {
  const server = createServer({
    cert: certificate.chainPem,
    key: certificate.keyPem,
    allowHalfOpen: true,
    ...options,
  });
  const peer = new TlsPeer(server, serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return peer;
}

export class TlsPeer implements AsyncDisposable {
  readonly #server: Server;
  /** All connections, those of handshakes that failed too: half of such a one stays open. */
  readonly #sockets: Socket[] = [];

  constructor(server: Server, serve: (socket: TLSSocket) => void) {
    this.#server = server;
    server.on("connection", (socket) => this.#sockets.push(socket));
    server.on("secureConnection", (socket) => {
      socket.on("error", () => socket.destroy());
      serve(socket);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Everything that a client says, in bytes of Latin-1. */
export async function allOf(socket: TLSSocket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => (text += piece));
  await once(socket, "end");
  return text;
}
