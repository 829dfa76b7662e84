/** s6-taiclockd: tell others the time (networking.md, section 18.7). */

import { runTask } from "../../host/index.ts";
import { EXIT, exitCodeOf } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { formatIp, IP4_ANY, parseIp } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { flag, list, parsedBy, unsigned, value } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { systemClockWith } from "../index.ts";
import { TAICLOCK_PORT, TaiclockServer } from "../sync/index.ts";
import { writeOutput } from "./offset/write-output.ts";
import { portOption } from "./series/options.ts";

const NAME = "s6-taiclockd";

const IP_ADDRESS = parsedBy(parseIp, "an IP address", formatIp);

const POSITIVE = parsedBy((text) => unsigned.parse(text) || undefined, "at least 1");

const OPTIONS = {
  address: value(
    { short: "i", argument: "ip", help: "the address to listen on (0.0.0.0)" },
    IP_ADDRESS,
    IP4_ANY,
  ),
  port: portOption("the port to listen on", TAICLOCK_PORT),
  also: list(
    {
      long: "also",
      argument: "ip",
      help: "listen on this address too, `::` for all of IPv6; may be repeated",
      ours: true,
    },
    IP_ADDRESS,
  ),
  ratePerClient: value(
    {
      long: "rate",
      argument: "n",
      help: "answer each client at most n times a second; an IPv6 client is a /64",
      ours: true,
    },
    POSITIVE,
  ),
  tellsPort: flag({
    short: "1",
    help: "write the port and a newline to standard output, and close it, when ready",
    ours: true,
  }),
};

export const taiclockd = defineCommand({
  name: NAME,
  summary: "tell others the time by the TAICLOCK protocol",
  family: "short",
  options: OPTIONS,
  operands: "",
  operandCount: [0, Infinity],
  async run({ host, report }, { address, port, also, ratePerClient, tellsPort }) {
    const ended = await runTask(host, NAME, ({ posix }) => {
      const server = new TaiclockServer(
        posix,
        systemClockWith(() => posix.realtimeNs()),
        {
          ratePerClient,
          onError: (action, { message }) => {
            report(NAME, "warning", `unable to ${action} datagrams: ${message}`);
          },
        },
      );
      const bound = listenOrFail(server, { address, port });
      for (const other of also) listenOrFail(server, { address: other, port });
      if (tellsPort) tellPort(posix, bound);
      return new Promise<never>(() => {}); // it serves until a signal ends it
    });
    return exitCodeOf(ended);
  },
});

function listenOrFail(server: TaiclockServer, endpoint: Endpoint): Endpoint {
  try {
    return server.listen(endpoint);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const where = `${formatIp(endpoint.address)} port ${endpoint.port}`;
    const message = `unable to listen on ${where}: ${error.message}`;
    throw new Fatal(EXIT.system, message, { cause: error });
  }
}

function tellPort(posix: Posix, { port }: Endpoint): void {
  writeOutput(posix, Buffer.from(`${port}\n`));
  posix.close(1 as Fd);
}
