/**
 * The client of an fd holder, ours or the C suite's (local-services.md, section 9.3). One request at a time;
 * every failure is a SystemError: the error that the holder answers with, EPIPE where it closes the
 * connection (as it does with clients whom its rules do not admit), ETIMEDOUT, EPROTO.
 */

import { NS_PER_SECOND, taiAt, taiFromUnix } from "../../clock/index.ts";
import type { Tai } from "../../clock/index.ts";
import { UNIX_MESSAGE_FDS_MAX } from "../../net/index.ts";
import type { UnixMessage } from "../../net/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import type { HolderId } from "./held-table.ts";
import { connectToHolder, HolderConnection, holderError } from "./holder-connection.ts";
import type { ConnectionParts } from "./holder-connection.ts";
import { parseListReply, parseNumbersReply, parseStatus } from "./wire/replies.ts";
import {
  formatHolderRequest,
  HOLDER_ID_BYTES_MAX,
  isHolderId,
  parseDumpEntries,
} from "./wire/requests.ts";
import type { DumpEntry, HolderRequest } from "./wire/requests.ts";

/** A duration that means never: 2^61 seconds (local-services.md, section 3). */
const INFINITE_NS = (1n << 61n) * NS_PER_SECOND;

/** The most entries of a dump that a client takes. */
const DUMP_ENTRIES_MAX = 1 << 20;

/** What is asked of a holder, for the text of a failure. */
type Asked = HolderRequest["kind"];

export class HolderClient {
  readonly #posix: Posix;
  readonly #connection: HolderConnection;

  /** Over a connected socket, which is its own from now on. */
  constructor(fd: Fd, parts: ConnectionParts) {
    this.#posix = parts.posix;
    this.#connection = new HolderConnection(fd, parts);
  }

  /** Throws SystemError where the holder cannot be reached. */
  static async connect(path: string, parts: ConnectionParts): Promise<HolderClient> {
    return new HolderClient(await connectToHolder(path, parts), parts);
  }

  /**
   * Have the holder keep a descriptor, which stays the caller's. `limit` is when it expires; without one it
   * does not. An identifier that is in use is EBUSY, one that is too long ENAMETOOLONG.
   */
  async store(fd: Fd, id: HolderId, limit?: Tai): Promise<void> {
    this.#checkId(id, "store");
    const until = limit ?? neverFrom(this.#posix);
    await this.#ask({ kind: "store", id, limit: until, fd }, [fd]);
  }

  /** A descriptor by its identifier, which the holder forgets if `deletes`. It is close-on-exec. */
  async retrieve(
    id: HolderId,
    { deletes = false }: { readonly deletes?: boolean } = {},
  ): Promise<Fd> {
    this.#checkId(id, "retrieve");
    const { fds } = await this.#ask({ kind: "retrieve", id, deletes });
    const [fd, ...surplus] = fds;
    for (const other of surplus) this.#posix.close(other);
    if (fd === undefined || surplus.length > 0) throw this.#malformed("retrieve");
    return fd;
  }

  async delete(id: HolderId): Promise<void> {
    this.#checkId(id, "delete");
    await this.#ask({ kind: "delete", id });
  }

  /** The identifiers of all entries, in no order that means anything. */
  async list(): Promise<HolderId[]> {
    const { body } = await this.#ask({ kind: "list" });
    const ids = parseListReply(body);
    if (ids === undefined) throw this.#malformed("list");
    return ids;
  }

  /** All entries with their descriptors, which are the caller's. */
  async getDump(): Promise<DumpEntry[]> {
    const { body } = await this.#ask({ kind: "getDump" });
    const [trips = 0, total = 0] = parseNumbersReply(body, 2) ?? [];
    if (total > DUMP_ENTRIES_MAX || trips > total) throw this.#malformed("getDump");
    const entries: DumpEntry[] = [];
    try {
      for (let trip = 0; trip < trips; trip += 1) entries.push(...(await this.#receiveEntries()));
      if (entries.length !== total) throw this.#malformed("getDump");
      return entries;
    } catch (error) {
      for (const { fd } of entries) this.#posix.close(fd);
      throw error;
    }
  }

  /**
   * Have the holder keep all of these too, in place of those with the same identifiers. The descriptors stay the
   * caller's. No two entries are sent with the same limit, for one of the C suite would hang then: a later
   * one gets the next nanosecond that is free.
   */
  async setDump(entries: readonly DumpEntry[]): Promise<void> {
    for (const { id } of entries) this.#checkId(id, "setDump");
    if (entries.length === 0) return;
    await this.#ask({ kind: "setDump", total: entries.length });
    const distinct = withDistinctLimits(entries);
    for (let start = 0; start < distinct.length; start += UNIX_MESSAGE_FDS_MAX) {
      const some = distinct.slice(start, start + UNIX_MESSAGE_FDS_MAX);
      const isLast = start + some.length === distinct.length;
      await this.#sendEntries(some, isLast);
    }
  }

  /** Close the connection. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #sendEntries(entries: readonly DumpEntry[], isLast: boolean): Promise<void> {
    const request = { kind: "dumpData", entries } as const;
    const fds = entries.map(({ fd }) => fd);
    await this.#connection.send(formatHolderRequest(request), fds);
    const reply = await this.#connection.receive();
    const code = parseStatus(reply.body);
    // EAGAIN asks for the next message.
    if (code !== (isLast ? undefined : "EAGAIN")) {
      throw holderError(this.#posix, code ?? "EPROTO", "setDump");
    }
  }

  async #receiveEntries(): Promise<DumpEntry[]> {
    const { body, fds } = await this.#connection.receive();
    const entries = parseDumpEntries(body, fds);
    if (entries !== undefined) return entries;
    for (const fd of fds) this.#posix.close(fd);
    throw this.#malformed("getDump");
  }

  async #ask(request: HolderRequest, fds: readonly Fd[] = []): Promise<UnixMessage> {
    await this.#connection.send(formatHolderRequest(request), fds);
    const reply = await this.#connection.receive();
    const code = parseStatus(reply.body);
    if (code === undefined && (reply.fds.length === 0 || request.kind === "retrieve")) return reply;
    for (const fd of reply.fds) this.#posix.close(fd);
    throw holderError(this.#posix, code ?? "EPROTO", request.kind);
  }

  #checkId(id: HolderId, asked: Asked): void {
    if (id.length > HOLDER_ID_BYTES_MAX) throw holderError(this.#posix, "ENAMETOOLONG", asked);
    if (!isHolderId(id)) throw holderError(this.#posix, "EINVAL", asked);
  }

  #malformed(asked: Asked): Error {
    return holderError(this.#posix, "EPROTO", asked);
  }
}

/** The limit of what is stored now and does not expire. */
export function neverFrom(posix: Pick<Posix, "realtimeNs">): Tai {
  return taiAt(taiFromUnix(posix.realtimeNs()) + INFINITE_NS);
}

function withDistinctLimits(entries: readonly DumpEntry[]): readonly DumpEntry[] {
  const used = new Set<Tai>();
  return entries.map((entry) => {
    let { limit } = entry;
    while (used.has(limit)) limit = taiAt(limit + 1n);
    used.add(limit);
    return limit === entry.limit ? entry : { ...entry, limit };
  });
}
