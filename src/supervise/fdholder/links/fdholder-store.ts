/** s6-fdholder-store: have a holder keep a descriptor (local-services.md, section 9.5). */

import { defineLink, descriptorAt, end, EXIT } from "../../../chain/index.ts";
import type { Launch, LinkContext } from "../../../chain/index.ts";
import { taiAt, taiFromUnix } from "../../../clock/index.ts";
import type { Tai } from "../../../clock/index.ts";
import { readListenFds, VariableError } from "../../../net/index.ts";
import type { PassedFd } from "../../../net/index.ts";
import { descriptorNumber, flag, milliseconds, value } from "../../../options/index.ts";
import { SystemError } from "../../../posix/index.ts";
import type { Fd } from "../../../posix/index.ts";
import { holderIdOf } from "../index.ts";
import type { HolderClient, HolderId } from "../index.ts";
import { askHolder, ASKING_OPTIONS } from "./asking/ask.ts";

const NAME = "s6-fdholder-store";

const NS_PER_MS = 1_000_000n;

/** A descriptor to store. */
interface Item {
  readonly fd: Fd;
  readonly id: HolderId;
}

const OPTIONS = {
  descriptor: value(
    { short: "d", argument: "fd", help: "store this descriptor, 0 by default" },
    descriptorNumber,
    0,
  ),
  ...ASKING_OPTIONS,
  expiryMs: value(
    {
      short: "T",
      argument: "fdtimeout",
      help: "have the holder forget it after this many milliseconds; 0 (the default) is never",
    },
    milliseconds,
  ),
  storesPassed: flag({
    long: "listen-fds",
    help: "store all descriptors that the service manager has passed (LISTEN_FDS), under id followed by their names (LISTEN_FDNAMES)",
    ours: true,
  }),
};

export const fdholderStore = defineLink({
  name: NAME,
  summary: "have an fd holder keep a descriptor",
  family: "short",
  options: OPTIONS,
  operands: ["socket", "id"],
  program: "none",
  reach: "process",
  describe: ({ operands: [socket, id] }) => [`has the holder at ${socket} keep ${id}`],
  preview: () => end(EXIT.ok),
  async run(launch, { options, operands: [socket = "", id = ""] }, context) {
    const items = options.storesPassed
      ? passedItems(id, launch, context)
      : [{ fd: descriptorAt(launch, options.descriptor), id: holderIdOf(id) }];
    if (items === undefined) return end(EXIT.usage);
    const question = { name: NAME, socket, timeoutMs: options.timeoutMs, action: "store fd" };
    const limit = limitOf(options.expiryMs, context);
    const asked = await askHolder(question, context, (client) => storeAll(items, limit, client));
    return end(asked.kind === "failed" ? asked.exitCode : EXIT.ok);
  },
});

function limitOf(expiryMs: number | undefined, { posix }: LinkContext): Tai | undefined {
  if (expiryMs === undefined) return undefined;
  return taiAt(taiFromUnix(posix.realtimeNs()) + BigInt(expiryMs) * NS_PER_MS);
}

/** All or none: those that are stored when one fails are deleted again. */
async function storeAll(
  items: readonly Item[],
  limit: Tai | undefined,
  client: HolderClient,
): Promise<void> {
  const stored: HolderId[] = [];
  try {
    for (const { fd, id } of items) {
      await client.store(fd, id, limit);
      stored.push(id);
    }
  } catch (error) {
    if (error instanceof SystemError) for (const id of stored) await client.delete(id);
    throw error;
  }
}

function passedItems(prefix: string, launch: Launch, context: LinkContext): Item[] | undefined {
  try {
    const { environment } = launch;
    const passed = readListenFds((name) => environment.get(name), context.posix.getpid());
    return passed.map(({ number }, index) => ({
      fd: descriptorAt(launch, number),
      id: holderIdOf(`${prefix}${distinctName(passed, index)}`),
    }));
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    context.report(NAME, "fatal", error.message);
    return undefined;
  }
}

/** Several descriptors may have one name: the second is `NAME:2`. */
function distinctName(passed: readonly PassedFd[], index: number): string {
  const nameOf = (one: PassedFd | undefined): string => one?.name ?? "unknown";
  const name = nameOf(passed[index]);
  const before = passed.slice(0, index).filter((one) => nameOf(one) === name).length;
  return before === 0 ? name : `${name}:${before + 1}`;
}
