/** s6-fdholderd: the fd holder proper, on the listening socket on stdin (local-services.md, 9.1). */

import { defineLink, end, EXIT } from "../../../chain/index.ts";
import { FDHOLDERD_OPTIONS, serveHolder } from "../index.ts";

export const fdholderd = defineLink({
  name: "s6-fdholderd",
  summary: "hold descriptors for the clients of a listening Unix socket",
  family: "short",
  options: FDHOLDERD_OPTIONS,
  operands: [],
  program: "none",
  reach: "process",
  describe: ({ options: { entriesMax, clientsMax } }) => [
    `holds at most ${entriesMax} descriptors, for at most ${clientsMax} clients at a time`,
  ],
  preview: () => end(EXIT.ok),
  run: async (launch, { options }, context) => end(await serveHolder(launch, options, context)),
});
