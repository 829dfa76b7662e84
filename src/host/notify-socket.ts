/**
 * Telling the service manager of systemd how a service is: one datagram to the socket that NOTIFY_SOCKET
 * names, `READY=1` for instance (sd_notify(3)). A manager that does not read costs the service nothing.
 */

import { encodeBytes, SystemError } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";

/** The variable that names the socket: a path, or `@` and an abstract name. */
export const NOTIFY_SOCKET = "NOTIFY_SOCKET";

/** Send a notification. The reason why it was not sent; undefined when it was. */
export function notifyManager(
  posix: Posix,
  socket: string,
  notification: string,
): string | undefined {
  if (!/^[@/]./.test(socket)) return `not a path or an abstract name: ${JSON.stringify(socket)}`;
  const path = socket.startsWith("@") ? `\0${socket.slice(1)}` : socket;
  try {
    const fd = posix.socket("unix", "datagram");
    try {
      const address = { family: "unix", path } as const;
      const sent = posix.sendMessage(fd, encodeBytes(notification), [], address);
      return sent === undefined ? "its queue is full" : undefined;
    } finally {
      posix.close(fd);
    }
  } catch (error) {
    if (error instanceof SystemError) return error.message;
    throw error;
  }
}
