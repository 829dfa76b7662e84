/** s6-sudo: the command line of a run by a server, rewritten into its parts (local-services.md, section 8.1). */

import { defineLink, goOn } from "../../chain/index.ts";
import { fold, nonEmptyText, text, value, wordsOf } from "../../options/index.ts";
import { stage } from "../../ucspi/index.ts";
import { SUDOC_OPTIONS } from "../index.ts";

/** The verbosity of s6-ipcclient: its default, and the most that is passed on. */
const VERBOSITY = 1;
const VERBOSITY_MAX = 4;

/** The options of s6-ipcclient that are passed on. */
const CLIENT_OPTIONS = {
  verbosity: fold(
    VERBOSITY,
    [
      {
        short: "q",
        help: "say less of connecting",
        next: (previous: number) => Math.max(0, previous - 1),
      },
      { short: "Q", help: "say what is wrong; the default", next: () => VERBOSITY },
      {
        short: "v",
        help: "say more of connecting",
        next: (previous: number) => Math.min(VERBOSITY_MAX, previous + 1),
      },
    ],
    (wanted) => (wanted === 0 ? [["q"]] : Array.from({ length: wanted - VERBOSITY }, () => ["v"])),
  ),
  bindPath: value(
    { short: "p", argument: "bindpath", help: "bind our end of the connection to this path" },
    nonEmptyText("a path"),
  ),
  localName: value({ short: "l", argument: "localname", help: "the value of IPCLOCALPATH" }, text),
};

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
