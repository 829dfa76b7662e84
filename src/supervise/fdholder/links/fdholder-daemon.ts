/** s6-fdholder-daemon: the command line of an fd holder, rewritten into its parts (local-services.md, 9.1). */

import { defineLink, end, EXIT, goOn, withDescriptors } from "../../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../../chain/index.ts";
import { deadlineAfter } from "../../../clock/index.ts";
import { pick, wordsOf } from "../../../options/index.ts";
import { errnoOf, SystemError } from "../../../posix/index.ts";
import { identityWords, stage } from "../../../ucspi/index.ts";
import { connectToHolder, FDHOLDER_DAEMON_OPTIONS, FDHOLDERD_OPTIONS } from "../index.ts";

const NAME = "s6-fdholder-daemon";

const BINDER = pick(FDHOLDER_DAEMON_OPTIONS, "reusesAddress", "backlog", "permissions");

/** What the holder is told. */
const HOLDER = {
  ...pick(FDHOLDER_DAEMON_OPTIONS, "verbosity", "announces", "clientsMax", "entriesMax"),
  ...pick(FDHOLDER_DAEMON_OPTIONS, "answerMs", "drainMs", "rules", "perUserMax", "idleMs"),
};

type Words = LinkWords<typeof FDHOLDER_DAEMON_OPTIONS>;

/** The time for connecting to the holder that is there, in milliseconds. */
const CONNECT_MS = 10_000;

export const fdholderDaemon = defineLink({
  name: NAME,
  summary: "bind a Unix socket, and hold descriptors for its clients",
  family: "short",
  options: FDHOLDER_DAEMON_OPTIONS,
  operands: ["path"],
  program: "none",
  reach: "anywhere",
  reachFor: ({ options: { takesOver } }) => (takesOver ? "process" : "anywhere"),
  preview: (launch, words, context) => goOn(binding(launch, words, context)),
  async run(launch, words, context): Promise<Outcome> {
    const { rules, takesOver } = words.options;
    if (rules === undefined) {
      context.report(NAME, "fatal", "no access rights specified!");
      return end(EXIT.usage);
    }
    return takesOver
      ? takeOverOrBind(launch, words, context)
      : goOn(binding(launch, words, context));
  },
});

/** In the order in which the C suite writes it. */
function binding(launch: Launch, words: Words, { chains: { finder } }: LinkContext): Launch {
  const { options, operands } = words;
  const argv = [
    ...stage(finder, "s6-ipcserver-socketbinder", wordsOf(BINDER, options)),
    ...operands,
    ...holderWords(words, [], { chains: { finder } }),
  ];
  return { ...launch, argv };
}

function holderWords(
  { options }: Words,
  more: readonly string[],
  { chains: { finder } }: { readonly chains: Pick<LinkContext["chains"], "finder"> },
): string[] {
  const identity = identityWords(options.identity, ["uid", "gid", "groups"]);
  return [
    ...(identity.length === 0 ? [] : stage(finder, "s6-applyuidgid", identity)),
    finder.file("s6-fdholderd"),
    ...wordsOf(HOLDER, options),
    ...more,
  ];
}

/** The holder that is there, if any, hands its socket over too. */
async function takeOverOrBind(
  launch: Launch,
  words: Words,
  context: LinkContext,
): Promise<Outcome> {
  const [path = ""] = words.operands;
  const deadline = deadlineAfter(context.clock, CONNECT_MS);
  try {
    const fd = await connectToHolder(path, { ...context, deadline });
    const argv = holderWords(
      words,
      wordsOf(pick(FDHOLDERD_OPTIONS, "takesOver"), words.options),
      context,
    );
    return goOn({ ...withDescriptors(launch, [[0, fd]]), argv });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const isAbsent = ["ENOENT", "ECONNREFUSED"].includes(errnoOf(error) ?? "");
    if (isAbsent) return goOn(binding(launch, words, context));
    context.report(NAME, "fatal", `unable to connect to the holder at ${path}: ${error.message}`);
    return end(EXIT.system);
  }
}
