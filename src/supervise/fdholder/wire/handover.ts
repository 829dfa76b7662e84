/**
 * The messages by which a holder hands everything that it has to its successor, in our own format
 * (docs/formats/fd-holder.md). The requests of the successor are in requests.ts.
 *
 *     successor: H version                      holder: 0 version entries, and the listening socket
 *                                               holder: entries with their descriptors, 253 at a time
 *     successor: C, once it has all of them     holder: 0 clients, and then the clients' connections
 */

import { packTai64n } from "../../../clock/index.ts";
import type { Tai } from "../../../clock/index.ts";
import type { Fd, Uid } from "../../../posix/index.ts";
import type { HolderId } from "../held-table.ts";
import { formatId, formatUint32, HolderFields } from "./requests.ts";

/** An entry that is handed over. */
export interface HandedEntry {
  readonly id: HolderId;
  readonly limit: Tai;
  readonly owner: Uid;
  readonly fd: Fd;
}

/** The body of a message with connections of clients. */
export const HANDED_CLIENTS: Uint8Array = Uint8Array.of(0x4b);

export function formatHandedEntries(entries: readonly Omit<HandedEntry, "fd">[]): Buffer {
  return Buffer.concat(
    entries.flatMap(({ limit, id, owner }) => [
      packTai64n(limit),
      formatId(id),
      formatUint32(owner),
    ]),
  );
}

/** As many entries as there are descriptors; undefined for a message that is malformed. */
export function parseHandedEntries(
  body: Uint8Array,
  fds: readonly Fd[],
): HandedEntry[] | undefined {
  const fields = new HolderFields(body);
  const entries: HandedEntry[] = [];
  for (const fd of fds) {
    const limit = fields.tai();
    const id = fields.id();
    const owner = fields.uint32();
    if (limit === undefined || id === undefined || owner === undefined) return undefined;
    entries.push({ id, limit, owner, fd });
  }
  return fields.isAtEnd ? entries : undefined;
}
