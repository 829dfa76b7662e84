/** s6-sudo: the command line of a run by a server, rewritten into its parts (local-services.md, section 8.1). */

import { defineLink, goOn } from "../../chain/index.ts";
import { pick, wordsOf } from "../../options/index.ts";
import { IPC_CLIENT_OPTIONS, stage } from "../../ucspi/index.ts";
import { SUDOC_OPTIONS } from "../index.ts";

/** The options of s6-ipcclient that are passed on. */
const CLIENT_OPTIONS = pick(IPC_CLIENT_OPTIONS, "verbosity", "bindPath", "localName");

const OPTIONS = { ...CLIENT_OPTIONS, ...SUDOC_OPTIONS };

export const sudo = defineLink({
  name: "s6-sudo",
  summary: "have a local server run a program with our descriptors",
  family: "short",
  options: OPTIONS,
  operands: ["path"],
  program: "optional",
  programWords: "args...",
  reach: "anywhere",
  run(launch, { options, operands: [path = ""], program }, { chains: { finder } }) {
    const argv = [
      ...stage(finder, "s6-ipcclient", wordsOf(CLIENT_OPTIONS, options)),
      path,
      ...stage(finder, "s6-sudoc", wordsOf(SUDOC_OPTIONS, options)),
      ...program,
    ];
    return goOn({ ...launch, argv });
  },
});
