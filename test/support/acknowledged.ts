/** The moment from which on the kernel of the other side is answerable for what was sent. */

import { readFileSync } from "node:fs";
import type { Socket } from "node:net";

/** Wait until the other side's kernel has all that was written to a connection over IPv4. */
export async function acknowledged(socket: Socket): Promise<void> {
  do {
    await new Promise((resolve) => setImmediate(resolve));
  } while (socket.writableLength > 0 || unacknowledgedBytes(socket) > 0);
}

/** The bytes that wait in our kernel (proc(5), `tx_queue`). */
function unacknowledgedBytes({ localPort = 0, remotePort = 0 }: Socket): number {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n")) {
    const [, local = "", remote = "", , queues = ""] = line.trim().split(/ +/);
    if (!local.endsWith(hex(localPort)) || !remote.endsWith(hex(remotePort))) continue;
    return Number.parseInt(queues.split(":")[0] ?? "", 16);
  }
  return 0;
}
