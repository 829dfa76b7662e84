/** s6-sudoc: have a server run a program with our descriptors (local-services.md, section 8). */

import { defineLink, descriptorAt, end, EXIT, exitCodeOf } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords } from "../../chain/index.ts";
import { runTask } from "../../host/index.ts";
import type { Fd } from "../../posix/index.ts";
import { runSudo, SUDOC_OPTIONS, SudoError } from "../index.ts";

const NAME = "s6-sudoc";

type Words = LinkWords<typeof SUDOC_OPTIONS>;

/** Where s6-ipcclient leaves the connection. */
const CONNECTION = { from: 6, to: 7 } as const;
const STANDARD = [0, 1, 2] as const;

export const sudoc = defineLink({
  name: NAME,
  summary: "have the server of a connection run a program with our descriptors",
  family: "short",
  options: SUDOC_OPTIONS,
  operands: [],
  program: "optional",
  programWords: "args...",
  reach: "process",
  describe: () => ["sends words, variables and descriptors 0 to 2 over descriptor 7, and waits"],
  async run(launch, words, context) {
    const ended = await runTask(context.host, NAME, (faces) =>
      run(launch, words, { ...context, ...faces }),
    );
    return end(exitCodeOf(ended));
  },
});

async function run(launch: Launch, words: Words, context: LinkContext): Promise<number> {
  const { options, program } = words;
  const { posix, report } = context;
  const from = openAt(launch, CONNECTION.from, context);
  const to = from === undefined ? undefined : openAt(launch, CONNECTION.to, context);
  const fds = to === undefined ? undefined : STANDARD.map((fd) => openAt(launch, fd, context));
  const standard = fds?.filter((fd) => fd !== undefined);
  if (from === undefined || to === undefined || standard?.length !== STANDARD.length) {
    return EXIT.system;
  }
  const variables = options.keepsEnvironment ? [] : launch.environment.strings();
  try {
    return await runSudo(context, {
      ...options,
      request: { words: program, variables },
      from,
      to,
      fds: standard,
      handedOver: () => letGo(standard.slice(0, 2), context),
    });
  } catch (error) {
    if (!(error instanceof SudoError)) throw error;
    report(NAME, "fatal", error.message);
    return error.isForeign ? EXIT.usage : EXIT.system;
  } finally {
    if (to !== from) posix.close(to);
    posix.close(from);
  }
}

/** A descriptor of the launch; undefined, and told, when it is not open. */
function openAt(launch: Launch, number: number, { posix, report }: LinkContext): Fd | undefined {
  const fd = descriptorAt(launch, number);
  if (posix.isOpen(fd)) return fd;
  report(NAME, "fatal", `fd ${number} is not open: ${posix.strerror("EBADF")}`);
  return undefined;
}

/** The program alone has them now: whoever is at their other ends hears of its end, not of ours. */
function letGo(fds: readonly Fd[], { posix }: LinkContext): void {
  const nothing = posix.open("/dev/null", "readwrite");
  for (const fd of fds) posix.dup2(nothing, fd, true);
  posix.close(nothing);
}
