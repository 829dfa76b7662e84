/** s6-ftrig-listen: run a program, and wait for several events (supervision.md, section 3.5). */

import { randomBytes } from "node:crypto";
import { defineLink, end, EXIT, exitCodeOf } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import { runTask } from "../../host/index.ts";
import { choice } from "../../options/index.ts";
import { listen, splitWantedBlock, WAIT_TIMEOUT } from "../index.ts";

const NAME = "s6-ftrig-listen";

const OPTIONS = {
  mode: choice("all", [
    { short: "a", long: "and", value: "all", help: "wait for all of the events; the default" },
    { short: "o", long: "or", value: "any", help: "wait for any of the events" },
  ]),
  timeoutMs: WAIT_TIMEOUT,
};

export const ftrigListen = defineLink({
  name: NAME,
  summary: "listen in fifodirs, run a program, and wait for events",
  family: "long",
  options: OPTIONS,
  operands: [],
  block: "fifodir regex ...",
  program: "required",
  reach: "process",
  inner: ({ program }, launch) => ({ ...launch, argv: splitWantedBlock(program).program }),
  describe({ program, options: { mode } }) {
    const { wanted } = splitWantedBlock(program);
    const each = wanted.map(({ fifodir, regex }) => `${regex} in ${fifodir.path}`);
    return [
      `subscribes, starts the program, and waits for ${each.join(mode === "all" ? " and " : " or ")}`,
    ];
  },
  async run(launch, { options, program: words }, context) {
    const { wanted, program } = splitWantedBlock(words);
    const { mode, timeoutMs } = options;
    const deadline = deadlineAfter(context.clock, timeoutMs);
    const ended = await runTask(context.host, NAME, (faces) => {
      const listening = {
        name: NAME,
        wanted,
        mode,
        deadline,
        program,
        timedOut: { exitCode: EXIT.refused, text: "unable to get expected event" },
        matched: () => EXIT.ok,
        randomBytes,
      };
      return listen(launch, listening, { ...context, ...faces });
    });
    return end(exitCodeOf(ended));
  },
});
