/** s6-ftrig-wait: wait for an event (supervision.md, section 3.5). */

import { randomBytes } from "node:crypto";
import { defineLink, end, EXIT, exitCodeOf } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import { runTask } from "../../host/index.ts";
import { listen, printEvents, WAIT_TIMEOUT } from "../index.ts";

const NAME = "s6-ftrig-wait";

const OPTIONS = { timeoutMs: WAIT_TIMEOUT };

export const ftrigWait = defineLink({
  name: NAME,
  summary: "wait for an event in a fifodir",
  family: "long",
  options: OPTIONS,
  operands: ["fifodir", "regex"],
  program: "none",
  reach: "process",
  describe: ({ operands: [path, regex] }) => [`waits for events ${regex} in ${path}`],
  async run(launch, { options, operands: [path = "", regex = ""] }, context) {
    const deadline = deadlineAfter(context.clock, options.timeoutMs);
    const ended = await runTask(context.host, NAME, (faces) => {
      const world = { ...context, ...faces };
      const listening = {
        name: NAME,
        wanted: [{ fifodir: { path }, regex }],
        mode: "all",
        deadline,
        program: undefined,
        timedOut: { exitCode: EXIT.timedOut, text: `unable to match regexp on ${regex}` },
        matched: (events: Buffer) => printEvents(launch, NAME, events, world),
        randomBytes,
      } as const;
      return listen(launch, listening, world);
    });
    return end(exitCodeOf(ended));
  },
});
