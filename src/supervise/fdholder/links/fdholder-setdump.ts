/** s6-fdholder-setdump: have a holder keep the descriptors of a dump (local-services.md, section 9.5). */

import { defineLink, descriptorAt, end, EXIT } from "../../../chain/index.ts";
import type { Launch, LinkContext } from "../../../chain/index.ts";
import { VariableError } from "../../../net/index.ts";
import { neverFrom, readDumpVariables } from "../index.ts";
import type { DumpEntry } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-setdump";

export const fdholderSetdump = defineLink({
  name: NAME,
  summary: "have an fd holder keep all descriptors of a dump",
  family: "short",
  options: ASKING_OPTIONS,
  operands: ["socket"],
  program: "none",
  reach: "process",
  describe: ({ operands: [socket] }) => [`has the holder at ${socket} keep the dump in S6_FD#`],
  preview: () => end(EXIT.ok),
  async run(launch, { options: { timeoutMs }, operands: [socket = ""] }, context) {
    const entries = readEntries(launch, context);
    if (entries === undefined) return end(EXIT.usage);
    const question = { name: NAME, socket, timeoutMs, action: "set dump" };
    const asked = await askHolder(question, context, (client) => client.setDump(entries));
    return end(asked.kind === "failed" ? asked.exitCode : EXIT.ok);
  },
});

function readEntries(launch: Launch, { posix, report }: LinkContext): DumpEntry[] | undefined {
  try {
    const never = neverFrom(posix);
    const variables = readDumpVariables((name) => launch.environment.get(name));
    return variables.map(({ number, id, limit = never }) => {
      return { fd: descriptorAt(launch, number), id, limit };
    });
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    report(NAME, "fatal", error.message);
    return undefined;
  }
}
