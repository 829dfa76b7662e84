/** s6-tlsd-io: TLS between the client on descriptors 0 and 1 and two pipes (networking.md, section 14). */

import { defineLink, end } from "../../chain/index.ts";
import { runTunnel, operandNumbers, serverLoader, TLSD_IO_OPTIONS } from "../index.ts";

const NAME = "s6-tlsd-io";

export const tlsdIo = defineLink({
  name: NAME,
  summary: "handle a TLS connection of a server for the program behind two descriptors",
  family: "long",
  options: TLSD_IO_OPTIONS,
  operands: ["fdr", "fdw"],
  program: "none",
  reach: "process",
  describe: ({ operands: [read, write] }) => [
    `copies between the client on 0 and 1 and the program on ${read} and ${write}`,
  ],
  async run(launch, { options, operands }, context) {
    const { channel, verbosity } = options;
    const loader = serverLoader(options, context);
    const network = { read: 0, write: 1 };
    const local = operandNumbers(operands);
    const tunnel = { name: NAME, loader, channel, verbosity, network, local } as const;
    return end(await runTunnel(launch, tunnel, context));
  },
});
