/** Clients that begin handshakes and never go on. */

import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";

/** The first bytes of a client: one ClientHello. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) });
    connectTls({ socket: wire }).on("error", () => undefined);
  });
}

/** A client of TLS at this address of the loopback. */
export function clientAt(localAddress: string): ConnectionOptions {
  const options = { localAddress, rejectUnauthorized: false };
  return options;
}

/** Connections that say no more than they are told to. Closed with the test. */
export class Flood implements Disposable {
  readonly #sockets: Socket[] = [];
  /** How many have been answered by the server, and how many closed. */
  answered = 0;
  closed = 0;

  /** One more connection, from this address of the loopback. */
  async open(port: number, from: string): Promise<Socket> {
    const socket = connect({ port, host: "127.0.0.1", localAddress: from, noDelay: true });
    this.#sockets.push(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => (this.answered += 1));
    socket.once("close", () => (this.closed += 1));
    await once(socket, "connect");
    return socket;
  }

  /** The same that many times, one from each address by turns; they all say `bytes` once all are open. */
  async send(
    port: number,
    bytes: Uint8Array,
    count: number,
    from: readonly string[],
  ): Promise<void> {
    const opened: Socket[] = [];
    for (let number = 0; number < count; number += 1) {
      opened.push(await this.open(port, from[number % from.length] ?? ""));
    }
    for (const socket of opened) socket.write(bytes);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
