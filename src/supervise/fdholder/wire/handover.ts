/**
 * The messages by which a holder hands everything that it has to its successor, in our own format
 * (docs/formats/fd-holder.md). The requests of the successor are in requests.ts.
 *
 *     successor: H version                      holder: 0 version entries, and the listening socket
 *                                               holder: entries with their descriptors, 253 at a time
 *     successor: C, once it has all of them     holder: 0 clients, and then the clients' connections
 */

import type { Fd, Uid } from "../../../posix/index.ts";
import type { HolderId } from "../held-table.ts";
import type { HolderLimit } from "./limits.ts";
import { formatUint32, HolderFields, idField } from "./requests.ts";

/** An entry that is handed over. */
export interface HandedEntry {
  readonly id: HolderId;
  readonly limit: HolderLimit;
  readonly owner: Uid;
  readonly fd: Fd;
}

/** The body of a message with connections of clients. */
export const HANDED_CLIENTS: Uint8Array = Uint8Array.of(0x4b);

export function formatHandedEntries(entries: readonly Omit<HandedEntry, "fd">[]): Buffer {
  let text = "";
  for (const { limit, id, owner } of entries) {
    text += limit + idField(id) + formatUint32(owner).toString("latin1");
  }
  return Buffer.from(text, "latin1");
}

/** As many entries as there are descriptors; undefined for a message that is malformed. */
export function parseHandedEntries(body: Buffer, fds: readonly Fd[]): HandedEntry[] | undefined {
  const fields = new HolderFields(body);
  const entries: HandedEntry[] = [];
  for (const fd of fds) {
    const limit = fields.limit();
    const id = fields.id();
    const owner = fields.uint32();
    if (limit === undefined || id === undefined || owner === undefined) return undefined;
    entries.push({ id, limit, owner, fd });
  }
  return fields.isAtEnd ? entries : undefined;
}
