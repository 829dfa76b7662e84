/** s6-fdholder-getdump: all descriptors of a holder, for a program (local-services.md, section 9.5). */

import { defineLink, end, goOn, withDescriptors, withEnvironment } from "../../../chain/index.ts";
import type { Launch } from "../../../chain/index.ts";
import { taiFromUnix } from "../../../clock/index.ts";
import type { Fd, Posix } from "../../../posix/index.ts";
import { dumpEdits } from "../index.ts";
import type { DumpEntry } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-getdump";

export const fdholderGetdump = defineLink({
  name: NAME,
  summary: "run a program with all descriptors of an fd holder",
  family: "short",
  options: ASKING_OPTIONS,
  operands: ["socket"],
  program: "required",
  reach: "process",
  describe: ({ operands: [socket] }) => [`takes all descriptors of the holder at ${socket}`],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  async run(launch, { options: { timeoutMs }, operands: [socket = ""], program }, context) {
    const question = { name: NAME, socket, timeoutMs, action: "get dump" };
    const asked = await askHolder(question, context, (client) => client.getDump());
    if (asked.kind === "failed") return end(asked.exitCode);
    return goOn({ ...withDump(launch, asked.value, context.posix), argv: program });
  },
});

/** The program has the descriptors under the numbers that they came with here. */
function withDump(launch: Launch, dump: readonly DumpEntry[], posix: Posix): Launch {
  const entries = dump.map((entry) => ({ ...entry, number: freeNumber(entry.fd, launch, posix) }));
  const edits = dumpEdits(entries, taiFromUnix(posix.realtimeNs()));
  return withDescriptors(
    withEnvironment(launch, edits),
    entries.map(({ number }) => [number, number]),
  );
}

/** Another number where the program is to have something else under this one. */
function freeNumber(fd: Fd, { descriptors }: Launch, posix: Posix): Fd {
  let number = fd;
  while (descriptors.has(number)) number = posix.dup(fd, number + 1);
  if (number !== fd) posix.close(fd);
  return number;
}
