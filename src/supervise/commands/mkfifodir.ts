/** s6-mkfifodir: make a fifodir (supervision.md, section 3.5). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal } from "../../command/index.ts";
import { flag, unsigned, value } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import { makeFifodir } from "../index.ts";

const OPTIONS = {
  force: flag({
    short: "f",
    help: "give a directory that is there already the group and the mode too",
  }),
  gid: value(
    { short: "g", argument: "gid", help: "let this group subscribe, instead of everybody" },
    unsigned,
  ),
};

export const mkfifodir = defineCommand({
  name: "s6-mkfifodir",
  summary: "make a fifodir, where listeners subscribe to events",
  family: "short",
  options: OPTIONS,
  operands: "fifodir",
  operandCount: [1, 1],
  run({ posix }, options, [path = ""]) {
    try {
      makeFifodir(posix, { path }, options);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const text = `unable to create fifodir at ${path}: ${error.message}`;
      throw new Fatal(EXIT.system, text, { cause: error });
    }
  },
});
