/** s6-ipcclient: a program with a connection to a local server on 6 and 7 (local-services.md, section 6.5). */

import { defineLink, end, EXIT, goOn, withEnvironment, withOpened } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { IPC, ipcClientEdits, ipcNames } from "../../net/index.ts";
import { UsageError } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { ConnectError, connectLocal, IPC_CLIENT_OPTIONS, pathOf, tellName } from "../index.ts";
import type { LocalName } from "../index.ts";

const NAME = "s6-ipcclient";

type Words = LinkWords<typeof IPC_CLIENT_OPTIONS>;

export const ipcclient = defineLink({
  name: NAME,
  summary: "connect to a local server and run a program with the connection",
  family: "short",
  options: IPC_CLIENT_OPTIONS,
  operands: ["path"],
  program: "required",
  reach: "identity",
  describe: (words) => [
    `connects to ${tellName(nameIn(words))}; the connection is on descriptors 6 and 7`,
  ],
  preview: (launch, { options, program }) => {
    const edits = ipcClientEdits(options.localName ?? `<${ipcNames(IPC).localPath}>`);
    return goOn({ ...withEnvironment(launch, edits), argv: program });
  },
  async run(launch, words, context): Promise<Outcome> {
    const [path] = words.operands;
    if (path === "") throw new UsageError("the path is empty", true);
    try {
      return goOn(await connect(launch, words, context));
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      context.report(NAME, "fatal", error.message);
      return end(EXIT.system);
    }
  },
});

function nameIn({ options: { isAbstract }, operands: [name = ""] }: Words): LocalName {
  return { name, isAbstract };
}

async function connect(launch: Launch, words: Words, context: LinkContext): Promise<Launch> {
  const { options, program } = words;
  const { posix, report } = context;
  const name = nameIn(words);
  const fd = await connectLocal({ ...options, ...name }, context);
  if (options.verbosity >= 2) report(NAME, "info", `connected to ${tellName(name)}`);
  posix.setNonblocking(fd, false);
  const edits = ipcClientEdits(options.localName ?? localPath(fd, posix));
  const ends: [number, Fd][] = [
    [6, fd],
    [7, fd],
  ];
  const connected = withOpened(withEnvironment(launch, edits), ends, context);
  return { ...connected, argv: program };
}

/** The path that our end is bound to, "" for none; undefined where the kernel does not tell. */
function localPath(fd: Fd, posix: Posix): string | undefined {
  try {
    const address = posix.getsockname(fd);
    return address.family === "unix" ? pathOf(address.path) : undefined;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
