/** s6-tcpclient: a program with a connection to a server on its descriptors 6 and 7 (networking.md, 6). */

import { defineLink, end, EXIT, goOn, withEnvironment, withOpened } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { parsePort, ucspiNames } from "../../net/index.ts";
import { UsageError } from "../../options/index.ts";
import type { Fd } from "../../posix/index.ts";
import { CLIENT_OPTIONS, literalAddresses, runTcpClient } from "../index.ts";

const NAME = "s6-tcpclient";

export const tcpclient = defineLink({
  name: NAME,
  summary: "connect to a TCP server and run a program with the connection",
  family: "short",
  options: CLIENT_OPTIONS,
  operands: ["host", "port"],
  program: "required",
  reach: "identity",
  describe: ({ operands: [host, port] }) => [
    `connects to ${host} port ${port}; the connection is on descriptors 6 and 7`,
  ],
  preview: (launch, { program }) => goOn({ ...preview(launch), argv: program }),
  async run(launch, words, context): Promise<Outcome> {
    const [host = "", portText = ""] = words.operands;
    const port = parsePort(portText);
    if (port === undefined) {
      context.report(NAME, "fatal", `invalid port number: ${portText}`);
      return end(EXIT.usage);
    }
    const { noNames, family } = words.options;
    if (noNames && literalAddresses(host, family) === undefined) {
      throw new UsageError(`not a list of IP addresses: ${host}`, true);
    }
    return connect(launch, words, { host, port }, context);
  },
});

async function connect(
  launch: Launch,
  { options, program }: LinkWords<typeof CLIENT_OPTIONS>,
  server: { readonly host: string; readonly port: number },
  context: LinkContext,
): Promise<Outcome> {
  const { environment } = launch;
  const variables = (name: string): string | undefined => environment.get(name);
  const result = await runTcpClient({ ...server, options, variables, context });
  if (result.kind === "failed") {
    context.report(NAME, "fatal", result.message);
    return end(result.exitCode);
  }
  const { fd, edits } = result;
  const ends: [number, Fd][] = [
    [6, fd],
    [7, fd],
  ];
  const connected = withOpened(withEnvironment(launch, edits), ends, context);
  return goOn({ ...connected, argv: program });
}

function preview(launch: Launch): Launch {
  const { remoteIp, remotePort, localIp, localPort } = ucspiNames("TCP");
  const unknown = [remoteIp, remotePort, localIp, localPort];
  return withEnvironment(launch, [
    { name: "PROTO", value: "TCP" },
    ...unknown.map((name) => ({ name, value: `<${name}>` })),
  ]);
}
