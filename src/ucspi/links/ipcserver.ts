/** s6-ipcserver: the command line of a local super-server, rewritten into its parts (local-services.md, 6.2). */

import { defineLink, goOn } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { pick, wordsOf } from "../../options/index.ts";
import { identityWords, IPCSERVER_OPTIONS, IPCSERVERD_OPTIONS, stage } from "../index.ts";

const BINDER = pick(IPCSERVER_OPTIONS, "replacesStale", "backlog", "permissions", "isAbstract");

/** The verbosity has other words there. */
const SERVER = {
  ...pick(IPCSERVERD_OPTIONS, "verbosity"),
  ...pick(IPCSERVER_OPTIONS, "announces", "knowsPeers", "maxConnections", "maxPerUser"),
  ...pick(IPCSERVER_OPTIONS, "drain", "refusals"),
};

export const ipcserver = defineLink({
  name: "s6-ipcserver",
  summary: "super-server: listen on a Unix-domain socket and run a program for each connection",
  family: "short",
  options: IPCSERVER_OPTIONS,
  operands: ["path"],
  program: "required",
  reach: "anywhere",
  run(launch, { options, operands, program }, { chains: { finder } }: LinkContext) {
    // In the order in which the C suite writes them.
    const identity = identityWords(options.identity, ["uid", "gid", "groups"]);
    const argv = [
      ...stage(finder, "s6-ipcserver-socketbinder", wordsOf(BINDER, options)),
      ...operands,
      ...(identity.length === 0 ? [] : stage(finder, "s6-applyuidgid", identity)),
      ...stage(finder, "s6-ipcserverd", wordsOf(SERVER, options)),
      ...program,
    ];
    return goOn({ ...launch, argv });
  },
});
