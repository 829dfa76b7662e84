/** ucspi-tls-engine: TLS for all connections of a server, which starts it and tells it what to do. */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import type { Fd } from "../../posix/index.ts";
import { Engine, TLS_ENGINE_OPTIONS } from "../index.ts";

const SOCKET = 0 as Fd;

export const tlsEngine = defineCommand({
  name: "ucspi-tls-engine",
  summary: "conduct the TLS connections of a server",
  family: "long",
  options: TLS_ENGINE_OPTIONS,
  operands: "",
  operandCount: [0, 0],
  async run({ posix, clock, report }, { uid, gid }) {
    if (!posix.isOpen(SOCKET) || !posix.isSocket(SOCKET)) {
      throw new Fatal(EXIT.usage, "stdin is not a socket: this command is started by servers");
    }
    if (uid !== undefined || gid !== undefined) posix.setgroups([]);
    if (gid !== undefined) posix.setgid(gid);
    if (uid !== undefined) posix.setuid(uid);
    const engine = new Engine({
      posix,
      clock,
      socket: SOCKET,
      failed: (speaker, message) => report(speaker, "fatal", message),
    });
    await engine.done;
  },
});
