/** s6-fdholder-transferdump: all descriptors of a holder to another one (local-services.md, 9.5). */

import { defineLink, end, EXIT } from "../../../chain/index.ts";
import { milliseconds, parsedBy, value } from "../../../options/index.ts";
import { askHolder } from "./asking/ask.ts";

const NAME = "s6-fdholder-transferdump";

/** Limits in milliseconds to the time with either holder. */
interface TransferTimeouts {
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
}

/** `a`, `a:`, `:b`, `a:b` or `:`; a limit that is absent or 0 is none. */
const TIMEOUTS = parsedBy<TransferTimeouts>(
  (text) => {
    const parts = /^(?=.)(\d*)(?::(\d*))?$/.exec(text);
    if (parts === null) return undefined;
    const [, from = "", to = ""] = parts;
    return { fromMs: milliseconds.parse(from || "0"), toMs: milliseconds.parse(to || "0") };
  },
  "from:to, both in milliseconds",
  ({ fromMs = 0, toMs = 0 }) => `${fromMs}:${toMs}`,
);

const OPTIONS = {
  timeouts: value(
    {
      short: "t",
      argument: "timeoutfrom:timeoutto",
      help: "give up after so many milliseconds with the one and with the other; 0 (the default) is for ever",
    },
    TIMEOUTS,
  ),
};

export const fdholderTransferdump = defineLink({
  name: NAME,
  summary: "copy all descriptors of an fd holder to another one",
  family: "short",
  options: OPTIONS,
  operands: ["socketfrom", "socketto"],
  program: "none",
  reach: "process",
  describe: ({ operands: [from, to] }) => [
    `copies all descriptors of the holder at ${from} to the one at ${to}`,
  ],
  preview: () => end(EXIT.ok),
  async run(_, { options: { timeouts }, operands: [from = "", to = ""] }, context) {
    const source = { name: NAME, socket: from, timeoutMs: timeouts?.fromMs, which: "source " };
    const dump = await askHolder({ ...source, action: "get dump" }, context, (client) => {
      return client.getDump();
    });
    if (dump.kind === "failed") return end(dump.exitCode);
    const target = { name: NAME, socket: to, timeoutMs: timeouts?.toMs, which: "destination " };
    const asked = await askHolder({ ...target, action: "set dump" }, context, (client) => {
      return client.setDump(dump.value);
    });
    for (const { fd } of dump.value) context.posix.close(fd);
    return end(asked.kind === "failed" ? asked.exitCode : EXIT.ok);
  },
});
