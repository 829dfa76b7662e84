/** Servers under test: started on a port that the kernel picks, which they tell when they are ready. */

import type { RunOptions, Scene, SceneProcess } from "../support/scene.ts";

export interface StartedServer {
  readonly process: SceneProcess;
  readonly port: number;
}

/** `s6-tcpserver -1 OPTION... IP 0 PROGRAM...`; options are separated by blanks. */
export async function startServer(
  scene: Scene,
  options: string,
  program: readonly string[],
  { ip = "127.0.0.1", ...run }: RunOptions & { readonly ip?: string } = {},
): Promise<StartedServer> {
  const words = ["-1", ...options.split(" ").filter((word) => word !== ""), ip, "0", ...program];
  return await announced(scene.start("s6-tcpserver", words, run));
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
