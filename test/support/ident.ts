/** IDENT in tests: servers on the port that clients insist on, and connections to ask about. */

import { once } from "node:events";
import { createServer } from "node:net";
import { expect } from "vitest";
import type { Socket } from "node:net";
import type { Content, Scene } from "./scene.ts";

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
export async function scriptedServer(reply: Content | undefined): Promise<ScriptedServer> {
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

/** A connection within this machine, as the side that made it sees it. */
export interface LocalConnection {
  readonly local: number;
  readonly remote: number;
}

/** Have a process of this user connect, and stay so; only root can ask for another user than itself. */
export async function connectAs(
  scene: Scene,
  uid: number | undefined,
  to: { readonly port: number; readonly host?: string; readonly from?: string },
): Promise<LocalConnection> {
  const { port, host = "127.0.0.1", from = host } = to;
  const become = uid === undefined ? "" : `process.setgroups([]); process.setuid(${uid});`;
  const target = JSON.stringify({ port, host, localAddress: from });
  const script = `${become} const s = require("node:net").connect(${target});
    s.on("connect", () => console.log("connected", s.localPort)); s.on("close", () => {});`;
  const [, local = ""] = await scene
    .execute(process.execPath, ["-e", script], { directory: "/" })
    .line(/^connected (\d+)$/);
  expect(local).not.toBe("");
  return { local: Number(local), remote: port };
}
