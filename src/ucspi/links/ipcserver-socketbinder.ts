/** s6-ipcserver-socketbinder: a bound Unix-domain socket as stdin (local-services.md, section 6.1). */

import { defineLink, end, EXIT, goOn, withOpened } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords } from "../../chain/index.ts";
import { UsageError } from "../../options/index.ts";
import {
  BindError,
  bindLocal,
  IPC_SOCKETBINDER_OPTIONS,
  PERMISSIONS_DEFAULT,
  tellName,
} from "../index.ts";
import type { BoundSocket, LocalName } from "../index.ts";

const NAME = "s6-ipcserver-socketbinder";

type Words = LinkWords<typeof IPC_SOCKETBINDER_OPTIONS>;

export const ipcserverSocketbinder = defineLink({
  name: NAME,
  summary: "bind a Unix-domain socket and give it to a program as its stdin",
  family: "short",
  options: IPC_SOCKETBINDER_OPTIONS,
  operands: ["path"],
  program: "required",
  reach: "identity",
  describe: (words) => [`binds to ${tellName(nameIn(words))}`],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  run(launch, words, context) {
    checkWords(words);
    try {
      const bound = bind(words, context);
      return goOn({ ...handOver(launch, bound, context), argv: words.program });
    } catch (error) {
      if (!(error instanceof BindError)) throw error;
      context.report(NAME, "fatal", error.message);
      return end(EXIT.system);
    }
  },
});

function nameIn({ options: { isAbstract }, operands: [name = ""] }: Words): LocalName {
  return { name, isAbstract };
}

/** Whoever knows a name of the abstract space may connect to it. */
function checkWords({ options, operands: [path] }: Words): void {
  if (path === "") throw new UsageError("the path is empty", true);
  if (options.isAbstract && options.permissions !== PERMISSIONS_DEFAULT) {
    throw new UsageError("a name of the abstract space has no permissions", true);
  }
}

function bind(words: Words, { posix, host }: LinkContext): BoundSocket {
  const { type, backlog, permissions, replacesStale, blocks } = words.options;
  const request = { ...nameIn(words), type, backlog, mode: permissions, replacesStale };
  const bound = bindLocal(request, { posix, locks: host.locks });
  if (blocks) posix.setNonblocking(bound.fd, false);
  return bound;
}

/** Stdin of the process to come; the claim is for a server in this one. */
function handOver(launch: Launch, { fd, claim }: BoundSocket, context: LinkContext): Launch {
  const bound = withOpened(launch, [[0, fd]], context, () => claim?.release());
  return context.isBecoming && claim !== undefined ? { ...bound, claim } : bound;
}
