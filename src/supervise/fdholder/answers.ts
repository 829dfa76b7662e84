/**
 * What a request does to the table, and its answer (local-services.md, section 9.3): the order in which
 * errors are looked for is the C suite's.
 */

import { UNIX_MESSAGE_FDS_MAX } from "../../net/index.ts";
import type { Fd, Uid } from "../../posix/index.ts";
import type { ClientEvent } from "./client-life.ts";
import type { HeldFd } from "./held-fd.ts";
import type { HeldEntry, HeldTable, HolderId, Moment } from "./held-table.ts";
import type { HolderRights } from "./rights.ts";
import { formatHandedEntries } from "./wire/handover.ts";
import {
  DONE_REPLY,
  dumpTrips,
  formatErrorReply,
  formatListReply,
  formatNumbersReply,
} from "./wire/replies.ts";
import { formatDumpEntries, HANDOVER_VERSION } from "./wire/requests.ts";
import type { HolderRequest } from "./wire/requests.ts";

/** A message to a client; whoever sends it releases its descriptors. */
export interface AnswerMessage {
  readonly body: Uint8Array;
  readonly held: readonly HeldFd[];
}

/** The answer to a request, and the event that follows from it for the client's state. */
export interface Answer {
  readonly messages: readonly AnswerMessage[];
  readonly event?: ClientEvent;
}

/** The client who asks, and whom. */
export interface Asking {
  readonly table: HeldTable<HeldFd>;
  readonly rights: HolderRights;
  readonly owner: Uid;
  now(): Moment;
  /** Hold a descriptor that came with a request. */
  hold(fd: Fd): HeldFd;
  /** The listening socket, with one more user, for a successor who may have it; undefined for all others. */
  listenerForSuccessor(): HeldFd | undefined;
  /** Let go of entries that have expired. */
  expire(): void;
  /** Entries have come or gone: the next expiry may be another. */
  changed(): void;
}

/** Carry a request out. `isLast`: no descriptor of the dump is to follow this one. */
export function answerRequest(request: HolderRequest, isLast: boolean, asking: Asking): Answer {
  const { rights, table } = asking;
  asking.expire();
  switch (request.kind) {
    case "store":
      return store(request, asking);
    case "delete":
      if (!rights.mayStore(request.id)) return refusal("EPERM");
      return remove(request.id, table) ? DONE : refusal("ENOENT");
    case "retrieve":
      return retrieve(request, asking);
    case "list":
      if (!rights.mayList) return refusal("EPERM");
      return reply(formatListReply(Array.from(table.entries(), ({ id }) => id)));
    case "getDump":
      return rights.mayGetDump ? dump(table) : refusal("EPERM");
    case "setDump":
      if (!rights.maySetDump) return refusal("EPERM");
      return announceDump(request.total, table);
    case "dumpData":
      return importEntries(request, isLast, asking);
    case "handOver":
      return handOver(request.version, asking);
    case "commit":
      return refusal("EPROTO");
  }
}

type Request<Kind extends HolderRequest["kind"]> = Extract<HolderRequest, { readonly kind: Kind }>;

function store({ id, limit, fd }: Request<"store">, asking: Asking): Answer {
  const { rights, table, owner } = asking;
  const descriptor = asking.hold(fd);
  const code = rights.mayStore(id)
    ? table.store({ id, limit, descriptor, owner }, asking.now())
    : "EPERM";
  if (code === undefined) {
    asking.changed();
    return DONE;
  }
  descriptor.release();
  return refusal(code);
}

function retrieve({ id, deletes }: Request<"retrieve">, { rights, table }: Asking): Answer {
  if (!rights.mayRetrieve(id)) return refusal("EPERM");
  if (deletes && !rights.mayStore(id)) return refusal("EPERM");
  const entry = table.get(id);
  if (entry === undefined) return refusal("ENOENT");
  const held = [entry.descriptor.use()];
  if (deletes) remove(id, table);
  return { messages: [{ body: DONE_REPLY, held }] };
}

function dump(table: HeldTable<HeldFd>): Answer {
  const head = formatNumbersReply(dumpTrips(table.size), table.size);
  return { messages: [{ body: head, held: [] }, ...dumpMessages(table, formatDumpEntries)] };
}

/** All entries, in as few messages as take their descriptors. */
function dumpMessages(
  table: HeldTable<HeldFd>,
  format: (entries: readonly HeldEntry<HeldFd>[]) => Uint8Array,
): AnswerMessage[] {
  const entries = [...table.entries()];
  return Array.from({ length: dumpTrips(entries.length) }, (_, trip) => {
    const start = trip * UNIX_MESSAGE_FDS_MAX;
    const some = entries.slice(start, start + UNIX_MESSAGE_FDS_MAX);
    return { body: format(some), held: some.map(({ descriptor }) => descriptor.use()) };
  });
}

function announceDump(total: number, table: HeldTable<HeldFd>): Answer {
  if (!table.hasRoomFor(total)) return refusal("ENFILE");
  const body = formatNumbersReply(dumpTrips(total));
  return { messages: [{ body, held: [] }], event: { kind: "importBegins", total } };
}

/** Of a message that does not fit in whole, the entries before the first that does not fit are kept. */
function importEntries({ entries }: Request<"dumpData">, isLast: boolean, asking: Asking): Answer {
  const { rights, table, owner } = asking;
  const now = asking.now();
  let code: string | undefined = rights.maySetDump ? undefined : "EPERM";
  for (const { id, limit, fd } of entries) {
    const descriptor = asking.hold(fd);
    const outcome =
      code === undefined ? table.import({ id, limit, descriptor, owner }, now) : { refusal: code };
    if ("refusal" in outcome) {
      code = outcome.refusal;
      descriptor.release();
    } else {
      outcome.replaced?.release();
    }
  }
  asking.changed();
  if (code !== undefined) return refusal(code);
  return isLast ? DONE : refusal("EAGAIN");
}

function handOver(version: number, asking: Asking): Answer {
  const listener = asking.listenerForSuccessor();
  if (listener === undefined) return refusal("EPERM");
  if (version !== HANDOVER_VERSION) {
    listener.release();
    return refusal("EPROTONOSUPPORT");
  }
  const { table } = asking;
  const head = formatNumbersReply(HANDOVER_VERSION, table.size);
  return {
    messages: [{ body: head, held: [listener] }, ...dumpMessages(table, formatHandedEntries)],
    event: { kind: "handOverBegins" },
  };
}

function remove(id: HolderId, table: HeldTable<HeldFd>): boolean {
  const descriptor = table.remove(id);
  descriptor?.release();
  return descriptor !== undefined;
}

function reply(body: Uint8Array): Answer {
  return { messages: [{ body, held: [] }] };
}

const DONE = reply(DONE_REPLY);

const REFUSALS = new Map<string, Answer>();

function refusal(code: string): Answer {
  let answer = REFUSALS.get(code);
  if (answer === undefined) REFUSALS.set(code, (answer = reply(formatErrorReply(code))));
  return answer;
}
