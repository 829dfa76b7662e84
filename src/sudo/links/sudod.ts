/** s6-sudod: run a program for the client of a connection, with its descriptors (local-services.md, section 8). */

import { defineLink, descriptorAt, end, EXIT, exitCodeOf } from "../../chain/index.ts";
import { runTask } from "../../host/index.ts";
import { flag, milliseconds, value } from "../../options/index.ts";
import { serveSudo } from "../index.ts";
import type { SudoOffer } from "../index.ts";

const NAME = "s6-sudod";

const OPTIONS = {
  withholdsInput: flag({ short: "0", help: "give the program /dev/null for its standard input" }),
  withholdsOutput: flag({ short: "1", help: "give it /dev/null for its standard output" }),
  withholdsError: flag({ short: "2", help: "give it the standard error of the server" }),
  outlivesClient: flag({ short: "d", help: "all of these, and let it go on without the client" }),
  timeoutMs: value(
    {
      short: "t",
      argument: "ms",
      help: "the time for the client to send its message; 0 is no limit",
    },
    milliseconds,
  ),
};

export const sudod = defineLink({
  name: NAME,
  summary: "run a program for a client, with its descriptors and some of its variables",
  family: "short",
  options: OPTIONS,
  operands: [],
  program: "optional",
  programWords: "args...",
  reach: "process",
  describe: ({ program }) => [
    `receives words, variables and three descriptors over descriptor 0, and runs ${[...program, "them"].join(" ")}`,
  ],
  async run(launch, { options, program }, context) {
    const { outlivesClient, timeoutMs } = options;
    const offer: SudoOffer = {
      name: NAME,
      words: program,
      withholds: {
        input: options.withholdsInput || outlivesClient,
        output: options.withholdsOutput || outlivesClient,
        error: options.withholdsError || outlivesClient,
      },
      outlivesClient,
      timeoutMs,
    };
    const socket = { from: descriptorAt(launch, 0), to: descriptorAt(launch, 1) };
    const { posix, report } = context;
    for (const [number, fd] of [socket.from, socket.to].entries()) {
      if (posix.isOpen(fd) && posix.isSocket(fd)) continue;
      report(NAME, "fatal", `fd ${number} is not a socket`);
      return end(EXIT.usage);
    }
    const ended = await runTask(context.host, NAME, (faces) =>
      serveSudo(launch, offer, socket, { ...context, ...faces }),
    );
    return end(exitCodeOf(ended));
  },
});
