/** TLS servers under test, what /proc tells of their processes, and clients that visit them. */

import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { makeCertificates } from "../support/certificates.ts";
import { isAlive } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { afterHandshake } from "../support/tls-dial.ts";
import { dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

/** Every client gets back what it says. */
export const ECHO = ["s6-tlsd", "cat"];

export interface TlsServer extends StartedServer {
  /** The pid of the engine that it has started with. */
  readonly engine: number;
}

export interface TlsServerOptions {
  /** Variables besides those that name its files. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Those of s6-tcpserver. */
  readonly options?: string;
  /** A program that becomes the server, see `startServer`. */
  readonly through?: readonly string[];
}

/** A TLS server, once it has started everything that lasts. Its key is for its owner alone. */
export async function startTls(
  scene: Scene,
  program: readonly string[] = ECHO,
  { variables = {}, options = "", through = [] }: TlsServerOptions = {},
): Promise<TlsServer> {
  const { serverEnvironment } = makeCertificates(scene.directory);
  chmodSync(serverEnvironment.KEYFILE, 0o600);
  const env = { ...serverEnvironment, ...variables };
  const started = await startServer(scene, options, program, { env, through });
  const plain = await dial(started.port);
  plain.end();
  await plain.rest();
  const engine = await engineOf(started.process.pid);
  await until(() => !isBusy(engine) && childrenOf(started.process.pid).length === 1);
  return { ...started, engine };
}

/** The living children of a process, zombies included, oldest first. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
  return text.split(" ").filter(Boolean).map(Number);
}

/** The one engine among the children of a server, which may just have been started. */
export async function engineOf(server: number): Promise<number> {
  let engines: number[] = [];
  await until(() => {
    engines = childrenOf(server).filter(isEngine);
    return engines.length > 0;
  });
  const [engine = 0, ...others] = engines;
  if (others.length > 0) throw new Error(`${engines.length} engines`);
  return engine;
}

function isEngine(pid: number): boolean {
  try {
    return /[/\0]ucspi-tls-engine\0/.test(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
  } catch {
    return false; // it is gone
  }
}

/** Does an engine have connections? */
export function isBusy(engine: number): boolean {
  return [...descriptorsOf(engine)].some(([fd, to]) => fd > 2 && to.startsWith("socket:"));
}

/** Wait until an engine has left nothing behind but what its parent reaps. */
export async function lastOf(engine: number): Promise<void> {
  await until(() => !isAlive(engine) && threadsOf(engine).length < 2);
}

/** A field of /proc/PID/status, of each thread of the process; its words joined with a blank. */
export function statusOf(pid: number, field: string): string[] {
  return threadsOf(pid).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "latin1");
    const [, text = ""] = new RegExp(`^${field}:(.*)$`, "m").exec(status) ?? [];
    return text.trim().split(/\s+/).join(" ");
  });
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // it is gone
  }
}

/** The objects of the descriptors of a process. */
export function descriptorsOf(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      found.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // closed meanwhile
    }
  }
  return found;
}

/** Ask until it is so: for what nothing tells of when it happens. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** A client of a TLS server on the loopback that trusts anybody; its handshake is done. */
export async function visit(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  await afterHandshake();
  socket.on("error", () => undefined);
  return socket;
}

/** One connection from its beginning to its end. */
export async function callOn(port: number): Promise<void> {
  const socket = await visit(port);
  socket.end("x");
  await restOf(socket);
}

/** All that comes until the connection ends, however it does. */
export async function restOf(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return Buffer.concat(chunks).toString("latin1");
}

/** The next bytes. */
async function nextOf(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (chunk: Buffer) => resolve(chunk.toString("latin1")));
  });
}

/** Is there an echo? */
export async function isEchoed(socket: TLSSocket, text: string): Promise<boolean> {
  const answer = nextOf(socket);
  socket.write(text);
  return (await answer) === text;
}
