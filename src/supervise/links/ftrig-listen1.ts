/** s6-ftrig-listen1: run a program, and wait for an event (supervision.md, section 3.5). */

import { randomBytes } from "node:crypto";
import { defineLink, end, EXIT, exitCodeOf } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import { runTask } from "../../host/index.ts";
import { listen, printEvents, WAIT_TIMEOUT } from "../index.ts";

const NAME = "s6-ftrig-listen1";

const OPTIONS = { timeoutMs: WAIT_TIMEOUT };

export const ftrigListen1 = defineLink({
  name: NAME,
  summary: "listen in a fifodir, run a program, and wait for an event",
  family: "long",
  options: OPTIONS,
  operands: ["fifodir", "regex"],
  program: "required",
  reach: "process",
  inner: ({ program }, launch) => ({ ...launch, argv: program }),
  describe: ({ operands: [path, regex] }) => [
    `subscribes to ${path}, starts the program, and waits for events ${regex}`,
  ],
  async run(launch, { options, operands: [path = "", regex = ""], program }, context) {
    const deadline = deadlineAfter(context.clock, options.timeoutMs);
    const ended = await runTask(context.host, NAME, (faces) => {
      const world = { ...context, ...faces };
      const listening = {
        name: NAME,
        wanted: [{ fifodir: { path }, regex }],
        mode: "all",
        deadline,
        program,
        timedOut: { exitCode: EXIT.refused, text: "unable to get expected event" },
        matched: (events: Buffer) => printEvents(launch, NAME, events, world),
        randomBytes,
      } as const;
      return listen(launch, listening, world);
    });
    return end(exitCodeOf(ended));
  },
});
