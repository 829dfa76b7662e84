/** s6-tlsc-io: TLS between a server on two descriptors and the program on 0 and 1 (networking.md, section 14). */

import { defineLink, end } from "../../chain/index.ts";
import { clientLoader, runTunnel, operandNumbers, TLSC_IO_OPTIONS } from "../index.ts";

const NAME = "s6-tlsc-io";

export const tlscIo = defineLink({
  name: NAME,
  summary: "handle a TLS connection of a client for the program on the standard descriptors",
  family: "long",
  options: TLSC_IO_OPTIONS,
  operands: ["fdr", "fdw"],
  program: "none",
  reach: "process",
  describe: ({ operands: [read, write] }) => [
    `copies between the server on ${read} and ${write} and the program on 0 and 1`,
  ],
  async run(launch, { options, operands }, context) {
    const { channel, verbosity } = options;
    const loader = clientLoader(options, context);
    const network = operandNumbers(operands);
    const local = { read: 0, write: 1 };
    const tunnel = { name: NAME, loader, channel, verbosity, network, local } as const;
    return end(await runTunnel(launch, tunnel, context));
  },
});
