/** Servers under test: started on a port that the kernel picks, which they tell when they are ready. */

import { join } from "node:path";
import { BIN } from "../support/scene.ts";
import type { RunOptions, Scene, SceneProcess } from "../support/scene.ts";

export interface StartedServer {
  readonly process: SceneProcess;
  readonly port: number;
}

export interface ServerRunOptions extends RunOptions {
  readonly ip?: string;
  /** A program, and its words, that becomes the server: what it has the server inherits. */
  readonly through?: readonly string[];
}

/** `s6-tcpserver -1 OPTION... IP 0 PROGRAM...`; options are separated by blanks. */
export async function startServer(
  scene: Scene,
  options: string,
  program: readonly string[],
  { ip = "127.0.0.1", through = [], ...run }: ServerRunOptions = {},
): Promise<StartedServer> {
  const words = ["-1", ...options.split(" ").filter((word) => word !== ""), ip, "0", ...program];
  const [file, ...front] = [...through, join(BIN, "s6-tcpserver")];
  return await announced(scene.execute(file ?? "", [...front, ...words], run));
}

export interface LocalServer {
  readonly process: SceneProcess;
  /** The absolute path of its socket. */
  readonly path: string;
}

/** `s6-ipcserver -1 OPTION... socket PROGRAM...` in the directory of the scene. */
export async function startLocalServer(
  scene: Scene,
  options: string,
  program: readonly string[],
  { through = [], ...run }: ServerRunOptions = {},
): Promise<LocalServer> {
  const words = ["-1", ...options.split(" ").filter((word) => word !== ""), "socket", ...program];
  const [file, ...front] = [...through, join(BIN, "s6-ipcserver")];
  return await announcedLocally(scene, scene.execute(file ?? "", [...front, ...words], run));
}

/** A server on the socket of the scene that writes an empty line to standard output when it is ready. */
export async function announcedLocally(scene: Scene, process: SceneProcess): Promise<LocalServer> {
  await process.line(/^$/);
  return { process, path: scene.path("socket") };
}

/** A server that writes its port to standard output when it is ready. */
export async function announced(process: SceneProcess): Promise<StartedServer> {
  const [, port = ""] = await process.line(/^(\d+)$/);
  return { process, port: Number(port) };
}

/** The lines that a super-server wrote, with pids and ports of clients in words. */
export function logOf(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/ pid \d+/g, " pid P").replace(/_\d+\b/g, "_PORT"));
}
