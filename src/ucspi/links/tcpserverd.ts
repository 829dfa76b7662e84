/** s6-tcpserverd: serve each connection to the listening socket on stdin (networking.md, section 5). */

import { defineLink, end, EXIT } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { CONNECTIONS_MAX, serve, TCPSERVERD_OPTIONS, tcpPlan, tcpPreview } from "../index.ts";

type Options = OptionsOf<typeof TCPSERVERD_OPTIONS>;

export const tcpserverd = defineLink({
  name: "s6-tcpserverd",
  summary: "the super-server proper: serve the connections to a listening TCP socket",
  family: "short",
  options: TCPSERVERD_OPTIONS,
  operands: [],
  program: "required",
  reach: "process",
  describe: (words) => describe(words),
  inner: (words, launch) => tcpPreview(launch, words.program),
  async run(launch: Launch, { options, program }, context: LinkContext): Promise<Outcome> {
    const served = { ...options, maxConnections: held(options) };
    return end(await serve({ ...launch, argv: program }, tcpPlan(served), context));
  },
  preview: () => end(EXIT.ok),
});

function held({ maxConnections }: Options): number {
  return Math.min(maxConnections, CONNECTIONS_MAX);
}

function describe({ options }: LinkWords<typeof TCPSERVERD_OPTIONS>): readonly string[] {
  const most = held(options);
  return [
    `serves at most ${most} connections, ${Math.min(options.maxPerAddress, most)} from one address`,
    "for each connection, which is on descriptors 0 and 1:",
  ];
}
