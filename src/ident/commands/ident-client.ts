/** s6-ident-client: ask a machine which user owns a connection (networking.md, section 11.1). */

import { EXIT } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { parseIp, parsePort } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { milliseconds, value } from "../../options/index.ts";
import { askIdent } from "../index.ts";

const OPTIONS = {
  timeoutMs: value(
    { short: "t", argument: "ms", help: "the time that all of it may take; 0 is without limit" },
    milliseconds,
  ),
};

export const identClient = defineCommand({
  name: "s6-ident-client",
  summary: "ask a remote host which user owns a connection",
  family: "short",
  options: OPTIONS,
  operands: "remoteip remoteport localip localport",
  operandCount: [4, 4],
  async run({ posix, clock, print, report }, { timeoutMs }, operands) {
    const [remoteIp = "", remotePort = "", localIp = "", localPort = ""] = operands;
    const remote = parseEndpoint(remoteIp, remotePort);
    const local = parseEndpoint(localIp, localPort);
    if (remote.address.family !== local.address.family) {
      throw new Fatal(EXIT.usage, "address family mismatch");
    }
    const deadline = deadlineAfter(clock, timeoutMs);
    const outcome = await askIdent(posix, { remote, local, deadline });
    switch (outcome.kind) {
      case "user":
        print(`${outcome.user}\n`);
        return EXIT.ok;
      case "error":
        report("s6-ident-client", "warning", `ident server replied: ${outcome.text}`);
        return EXIT.refused;
      case "failed":
        throw new Fatal(EXIT.system, `unable to s6net_ident_client: ${outcome.text}`);
      case "timedOut":
        throw new Fatal(
          EXIT.timedOut,
          `unable to s6net_ident_client: ${posix.strerror("ETIMEDOUT")}`,
        );
    }
  },
});

function parseEndpoint(ip: string, portText: string): Endpoint {
  const address = parseIp(ip);
  if (address === undefined) throw new Fatal(EXIT.usage, `invalid IP address: ${ip}`);
  const port = parsePort(portText);
  if (port === undefined) throw new Fatal(EXIT.usage, `invalid port number: ${portText}`);
  return { address, port };
}
