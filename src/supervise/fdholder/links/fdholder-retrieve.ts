/** s6-fdholder-retrieve: a descriptor of a holder as a program's stdin (local-services.md, section 9.5). */

import { defineLink, end, goOn, withDescriptors } from "../../../chain/index.ts";
import { flag } from "../../../options/index.ts";
import { holderIdOf } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-retrieve";

export const fdholderRetrieve = defineLink({
  name: NAME,
  summary: "run a program with a descriptor of an fd holder as its stdin",
  family: "short",
  options: {
    ...ASKING_OPTIONS,
    deletes: flag({ short: "D", help: "have the holder forget the descriptor" }),
  },
  operands: ["socket", "id"],
  program: "required",
  reach: "process",
  describe: ({ operands: [socket, id] }) => [
    `takes ${id} from the holder at ${socket} as descriptor 0`,
  ],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  async run(launch, { options, operands: [socket = "", id = ""], program }, context) {
    const { timeoutMs, deletes } = options;
    const question = { name: NAME, socket, timeoutMs, action: `retrieve fd for id ${id}` };
    const asked = await askHolder(question, context, (client) => {
      return client.retrieve(holderIdOf(id), { deletes });
    });
    if (asked.kind === "failed") return end(asked.exitCode);
    return goOn({ ...withDescriptors(launch, [[0, asked.value]]), argv: program });
  },
});
