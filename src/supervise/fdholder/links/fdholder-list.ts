/** s6-fdholder-list: print the identifiers that a holder has (local-services.md, section 9.5). */

import { defineLink, descriptorAt, end, EXIT } from "../../../chain/index.ts";
import { flag } from "../../../options/index.ts";
import { encodeBytes, SystemError, writeFully } from "../../../posix/index.ts";
import { quoteHolderId, wordOfHolderId } from "../index.ts";
import type { HolderId } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-list";

export const fdholderList = defineLink({
  name: NAME,
  summary: "print the identifiers of the descriptors that an fd holder has",
  family: "short",
  options: {
    ...ASKING_OPTIONS,
    isJson: flag({
      long: "json",
      help: 'print a JSON array of objects with an "id" each',
      ours: true,
    }),
  },
  operands: ["socket"],
  program: "none",
  reach: "process",
  describe: ({ operands: [socket] }) => [`lists the identifiers of the holder at ${socket}`],
  preview: () => end(EXIT.ok),
  async run(launch, { options: { timeoutMs, isJson }, operands: [socket = ""] }, context) {
    const question = { name: NAME, socket, timeoutMs, action: "get fd list" };
    const asked = await askHolder(question, context, (client) => client.list());
    if (asked.kind === "failed") return end(asked.exitCode);
    const text = isJson ? formatJson(asked.value) : formatLines(asked.value);
    try {
      writeFully(context.posix, descriptorAt(launch, 1), encodeBytes(text));
      return end(EXIT.ok);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      context.report(NAME, "fatal", `unable to write to stdout: ${error.message}`);
      return end(EXIT.system);
    }
  },
});

function formatLines(ids: readonly HolderId[]): string {
  return ids.map((id) => `${quoteHolderId(id)}\n`).join("");
}

/** A byte that is not UTF-8 is a lone surrogate, `\udc80` to `\udcff`, which JSON can write. */
function formatJson(ids: readonly HolderId[]): string {
  return `${JSON.stringify(ids.map((id) => ({ id: wordOfHolderId(id) })))}\n`;
}
