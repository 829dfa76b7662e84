/** IDENT in tests: servers on the port that clients insist on. */

import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";

const IDENT_PORT = 113;

/** An address of this machine that, most likely, no other test uses: the port is always the same. */
export function identAddress(): string {
  const octet = (): number => 1 + Math.floor(Math.random() * 253);
  return `127.${octet()}.${octet()}.${octet()}`;
}

/** A server that says the same to everybody. */
export interface ScriptedServer extends AsyncDisposable {
  readonly ip: string;
  /** The first line of each client, its end included. */
  readonly asked: string[];
}

/** Listen on port 113, for which one has to be root. Undefined: say nothing and keep the connection. */
export async function scriptedServer(reply: string | undefined): Promise<ScriptedServer> {
  const ip = identAddress();
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("data", (line) => {
      asked.push(line.toString("latin1"));
      if (reply !== undefined) socket.end(reply);
    });
  });
  server.listen(IDENT_PORT, ip);
  await once(server, "listening");
  return {
    ip,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
