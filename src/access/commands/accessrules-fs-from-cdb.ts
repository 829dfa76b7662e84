/** s6-accessrules-fs-from-cdb: unpack a CDB file of rules (networking.md, section 8.4). */

import { defineCommand, orFatal } from "../../command/index.ts";
import { explainFailure, unpackCdb } from "../index.ts";

const NAME = "s6-accessrules-fs-from-cdb";

export const accessrulesFsFromCdb = defineCommand({
  name: NAME,
  summary: "unpack a CDB file of access rules to a directory",
  family: "none",
  options: {},
  operands: "dir cdbfile",
  operandCount: [2, 2],
  run({ posix, report }, _options, [directory = "", cdb = ""]) {
    const warn = (message: string) => report(NAME, "warning", message);
    orFatal(
      (error) => explainFailure(posix, `unpack ${cdb}`, error),
      () => unpackCdb(cdb, directory, { posix, warn }),
    );
  },
});
