/** s6-ipcserverd: serve each connection to the listening socket on stdin (local-services.md, section 6.3). */

import { defineLink, end, EXIT } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { CONNECTIONS_MAX, ipcPlan, ipcPreview, IPCSERVERD_OPTIONS, serve } from "../index.ts";

type Options = OptionsOf<typeof IPCSERVERD_OPTIONS>;

export const ipcserverd = defineLink({
  name: "s6-ipcserverd",
  summary: "the super-server proper: serve the connections to a listening Unix-domain socket",
  family: "short",
  options: IPCSERVERD_OPTIONS,
  operands: [],
  program: "required",
  reach: "process",
  describe: (words) => describe(words),
  inner: ({ program, options }, launch) => ipcPreview(launch, program, options),
  async run(launch: Launch, { options, program }, context: LinkContext): Promise<Outcome> {
    const plan = ipcPlan({ ...options, maxConnections: held(options) });
    return end(await serve({ ...launch, argv: program }, plan, context));
  },
  preview: () => end(EXIT.ok),
});

function held({ maxConnections }: Options): number {
  return Math.min(maxConnections, CONNECTIONS_MAX);
}

function describe({ options }: LinkWords<typeof IPCSERVERD_OPTIONS>): readonly string[] {
  const most = held(options);
  const each = options.knowsPeers ? `, ${Math.min(options.maxPerUser, most)} of one user` : "";
  return [
    `serves at most ${most} connections${each}`,
    "for each connection, which is on descriptors 0 and 1:",
  ];
}
