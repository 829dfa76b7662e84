/** s6-tcpserver: the command line of a super-server, rewritten into its parts (networking.md, section 3). */

import { defineLink, goOn } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { pick, wordsOf } from "../../options/index.ts";
import { identityWords, stage, TCPSERVER_OPTIONS, TCPSERVERD_OPTIONS } from "../index.ts";

const BINDER = pick(TCPSERVER_OPTIONS, "reusesAddress", "backlog", "also");

/** The verbosity has other words there. */
const SERVER = {
  ...pick(TCPSERVERD_OPTIONS, "verbosity"),
  ...pick(TCPSERVER_OPTIONS, "announces", "maxConnections", "maxPerAddress"),
  ...pick(TCPSERVER_OPTIONS, "drain", "localAddress", "refusals"),
};

export const tcpserver = defineLink({
  name: "s6-tcpserver",
  summary: "super-server: listen on a TCP port and run a program for each connection",
  family: "short",
  options: TCPSERVER_OPTIONS,
  operands: ["ip", "port"],
  program: "required",
  reach: "anywhere",
  run(launch, { options, operands, program }, { chains: { finder } }: LinkContext) {
    // In the order in which the C suite writes them.
    const identity = identityWords(options.identity, ["uid", "gid", "groups"]);
    const argv = [
      ...stage(finder, "s6-tcpserver-socketbinder", wordsOf(BINDER, options)),
      ...operands,
      ...(identity.length === 0 ? [] : stage(finder, "s6-applyuidgid", identity)),
      ...stage(finder, "s6-tcpserverd", wordsOf(SERVER, options)),
      ...program,
    ];
    return goOn({ ...launch, argv });
  },
});
