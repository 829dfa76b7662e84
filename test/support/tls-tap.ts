/** A place between a TLS client and its server where a test sees records pass, and may cut the wire. */

import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

/** ContentType (RFC 5246, section 6.2.1). Only up to TLS 1.2 do alerts look like alerts from outside. */
export const RECORD = { alert: 21, data: 23 } as const;

/** Stand before a port of 127.0.0.1. */
export async function newTap(port: number): Promise<TlsTap> {
  const listener = createServer({ allowHalfOpen: true });
  const tap = new TlsTap(listener, port);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return tap;
}

/** For one connection. */
export class TlsTap implements AsyncDisposable {
  readonly #listener: Server;
  readonly #fromServer: Buffer[] = [];
  #client: Socket | undefined;
  #server: Socket | undefined;

  constructor(listener: Server, port: number) {
    this.#listener = listener;
    listener.once("connection", (client) => {
      const server = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      server.on("data", (chunk: Buffer) => this.#fromServer.push(chunk));
      for (const socket of [client, server]) socket.on("error", () => socket.destroy());
      client.pipe(server);
      server.pipe(client);
      [this.#client, this.#server] = [client, server];
    });
  }

  /** The port to which the client has to connect. */
  get port(): number {
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** The types of the records that the server has sent. */
  get types(): number[] {
    const bytes = Buffer.concat(this.#fromServer);
    const types: number[] = [];
    for (let at = 0; at + 5 <= bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) {
      types.push(bytes.readUInt8(at));
    }
    return types;
  }

  /** End what the client says, with these last bytes that it never said. */
  cut(last: readonly number[] = []): void {
    this.#client?.unpipe();
    this.#server?.end(Uint8Array.from(last));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.destroy();
    this.#server?.destroy();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}
