/** s6-ioconnect: copy standard input to one descriptor and another to standard output (supervision.md, 11.8). */

import { runTask } from "../../host/index.ts";
import { defineLink, descriptorAt, end, EXIT, exitCodeOf } from "../index.ts";
import type { Launch, LinkContext, LinkWords } from "../index.ts";
import { choice, descriptorAbove2, milliseconds, value } from "../../options/index.ts";
import type { Fd } from "../../posix/index.ts";
import { Relay } from "./relay/relay.ts";
import type { Flow } from "./relay/relay.ts";

const NAME = "s6-ioconnect";

const OPTIONS = {
  timeoutMs: value(
    { short: "t", argument: "ms", help: "exit 1 when nothing has moved for so long; 0 is never" },
    milliseconds,
  ),
  reader: value(
    { short: "r", argument: "fdr", help: "what is copied to standard output, instead of 6" },
    descriptorAbove2,
    6,
  ),
  writer: value(
    { short: "w", argument: "fdw", help: "where standard input is copied to, instead of 7" },
    descriptorAbove2,
    7,
  ),
  ignored: choice(
    undefined,
    ["0", "1", "6", "7"].map((short) => ({
      short,
      value: undefined,
      help: "ignored: sockets are recognized",
    })),
  ),
};

type Words = LinkWords<typeof OPTIONS>;

export const ioconnect = defineLink({
  name: NAME,
  summary: "copy between the standard descriptors and a connection, both ways",
  family: "short",
  options: OPTIONS,
  operands: [],
  program: "none",
  reach: "process",
  describe: ({ options: { reader, writer } }) => [
    `copies descriptor 0 to ${writer} and ${reader} to 1 until both are at their end`,
  ],
  async run(launch, words, context) {
    const ended = await runTask(context.host, NAME, (faces) =>
      copy(launch, words, { ...context, ...faces }),
    );
    return end(exitCodeOf(ended));
  },
});

const EXIT_OF = { done: EXIT.ok, failed: EXIT.system, timedOut: EXIT.refused } as const;

/** Copy until both ways are at their end; the exit code. */
async function copy(launch: Launch, words: Words, context: LinkContext): Promise<number> {
  const flows = findEnds(launch, words, context);
  if (flows === undefined) return EXIT.system;
  const relay = new Relay({
    ...context,
    timeoutMs: words.options.timeoutMs,
    flows,
    failed: ({ flow, call, error }) => {
      const { reader, writer } = words.options;
      const [from, to] = flow === flows[0] ? [0, writer] : [reader, 1];
      const what = call === "read" ? `read from fd ${from}` : `write to fd ${to}`;
      context.report(NAME, "warning", `unable to ${what}: ${error.message}`);
    },
  });
  const stopListening = context.signals.on(["SIGTERM"], () => relay.stopReading());
  try {
    return EXIT_OF[await relay.run()];
  } finally {
    stopListening();
  }
}

/** The two ways to copy; undefined, and told, when a descriptor is not open. */
function findEnds(launch: Launch, words: Words, context: LinkContext): Flow[] | undefined {
  const { reader, writer } = words.options;
  const { posix } = context;
  const to = findOpen(launch, writer, context);
  const from = to === undefined ? undefined : findOpen(launch, reader, context);
  if (to === undefined || from === undefined) return undefined;
  // Each way watches and closes its own descriptors.
  const separate = from === to ? posix.dup(from) : from;
  return [
    { from: 0 as Fd, to },
    { from: separate, to: 1 as Fd },
  ];
}

function findOpen(launch: Launch, number: number, context: LinkContext): Fd | undefined {
  const { posix, report } = context;
  const fd = descriptorAt(launch, number);
  if (posix.isOpen(fd)) return fd;
  const why = posix.strerror("EBADF");
  report(NAME, "fatal", `unable to fstat fd ${number}: ${why}`);
  return undefined;
}
