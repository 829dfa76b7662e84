/** ucspi-tls-engine: TLS for all connections of a server, which starts it and tells it what to do. */

import { EXIT, exitCodeOf } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import type { Fd } from "../../posix/index.ts";
import { Engine, TLS_ENGINE_OPTIONS } from "../index.ts";

const NAME = "ucspi-tls-engine";

const SOCKET = 0 as Fd;

export const tlsEngine = defineCommand({
  name: NAME,
  summary: "handle the TLS connections of a server",
  family: "long",
  options: TLS_ENGINE_OPTIONS,
  operands: "",
  operandCount: [0, 0],
  async run({ posix, host, report }, { uid, gid }) {
    if (!posix.isOpen(SOCKET) || !posix.isSocket(SOCKET)) {
      throw new Fatal(EXIT.usage, "stdin is not a socket: this command is started by servers");
    }
    if (uid !== undefined || gid !== undefined) posix.setgroups([]);
    if (gid !== undefined) posix.setgid(gid);
    if (uid !== undefined) posix.setuid(uid);
    const failed = (speaker: string, message: string): void => report(speaker, "fatal", message);
    const refused = (message: string): void => report(NAME, "warning", message);
    const { ended } = host.run(
      (faces) => new Engine({ ...faces, socket: SOCKET, failed, refused }),
    );
    return exitCodeOf(await ended);
  },
});
