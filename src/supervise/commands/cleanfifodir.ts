/** s6-cleanfifodir: remove the fifos of dead listeners (supervision.md, section 3.4). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { SystemError } from "../../posix/index.ts";
import { cleanFifodir } from "../index.ts";

export const cleanfifodir = defineCommand({
  name: "s6-cleanfifodir",
  summary: "remove the fifos of dead listeners from a fifodir",
  family: "short",
  options: {},
  operands: "fifodir",
  operandCount: [1, 1],
  run({ posix }, _, [path = ""]) {
    try {
      cleanFifodir(posix, { path });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const text = `unable to clean up fifodir at ${path}: ${error.message}`;
      throw new Fatal(EXIT.system, text, { cause: error });
    }
  },
});
