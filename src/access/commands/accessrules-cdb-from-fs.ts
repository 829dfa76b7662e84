/** s6-accessrules-cdb-from-fs: compile a directory of rules (networking.md, section 8.4). */

import { defineCommand, orFatal } from "../../command/index.ts";
import { flag, octalMode, value } from "../../options/index.ts";
import { compileDirectory, explainFailure } from "../index.ts";

const NAME = "s6-accessrules-cdb-from-fs";

export const accessrulesCdbFromFs = defineCommand({
  name: NAME,
  summary: "compile a directory of access rules to a CDB file",
  family: "long",
  options: {
    mode: value(
      {
        short: "m",
        long: "mode",
        argument: "mode",
        help: "give the file these permissions, in octal; without it only its owner may read it",
      },
      octalMode,
      undefined,
    ),
    sort: flag({
      long: "sort",
      help: "order rules and variables by name, so that equal rules make equal files",
      ours: true,
    }),
  },
  operands: "cdbfile dir",
  operandCount: [2, 2],
  run({ posix, report }, { mode, sort }, [cdb = "", directory = ""]) {
    const warn = (message: string) => report(NAME, "warning", message);
    orFatal(
      (error) => explainFailure(posix, `compile ${directory}`, error),
      () => compileDirectory(directory, cdb, { posix, mode, sort, warn }),
    );
  },
});
