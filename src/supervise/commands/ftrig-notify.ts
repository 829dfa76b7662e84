/** s6-ftrig-notify: send events to the listeners of a fifodir (supervision.md, section 3.5). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { encodeBytes, SystemError } from "../../posix/index.ts";
import { notify } from "../index.ts";
import type { Notified } from "../index.ts";

const NAME = "s6-ftrig-notify";

export const ftrigNotify = defineCommand({
  name: NAME,
  summary: "send events to the listeners of a fifodir",
  family: "short",
  options: {},
  operands: "fifodir message",
  operandCount: [2, 2],
  run({ posix, report }, _, [path = "", message = ""]) {
    let result: Notified;
    try {
      result = notify(posix, { path }, encodeBytes(message));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new Fatal(EXIT.system, `unable to notify ${path}: ${error.message}`, { cause: error });
    }
    const { missed, problem } = result;
    if (missed > 0) {
      const who = missed === 1 ? "1 listener has" : `${missed} listeners have`;
      report(NAME, "warning", `${who} missed the events in ${path}: no room, or no access`);
    }
    if (problem !== undefined) {
      throw new Fatal(EXIT.system, `unable to notify all of ${path}: ${problem.message}`);
    }
  },
});
