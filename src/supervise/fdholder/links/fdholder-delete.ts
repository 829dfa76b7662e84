/** s6-fdholder-delete: have a holder forget a descriptor (local-services.md, section 9.5). */

import { defineLink, end, EXIT } from "../../../chain/index.ts";
import { holderIdOf } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-delete";

export const fdholderDelete = defineLink({
  name: NAME,
  summary: "have an fd holder forget a descriptor",
  family: "short",
  options: ASKING_OPTIONS,
  operands: ["socket", "id"],
  program: "none",
  reach: "process",
  describe: ({ operands: [socket, id] }) => [`has the holder at ${socket} forget ${id}`],
  preview: () => end(EXIT.ok),
  async run(_, { options: { timeoutMs }, operands: [socket = "", id = ""] }, context) {
    const action = `delete fd for id ${id}`;
    const question = { name: NAME, socket, timeoutMs, action };
    const asked = await askHolder(question, context, (client) => client.delete(holderIdOf(id)));
    return end(asked.kind === "failed" ? asked.exitCode : EXIT.ok);
  },
});
