/**
 * The requests of an fd holder's clients, as bodies of Unix messages (local-services.md, section 9.3), and
 * two of ours, by which a holder hands everything over to its successor (docs/formats/fd-holder.md).
 */

import { TAI64N_BYTES } from "../../../clock/index.ts";
import { UNIX_MESSAGE_FDS_MAX } from "../../../net/index.ts";
import type { Fd } from "../../../posix/index.ts";
import type { HolderId } from "../held-table.ts";
import { parseHolderLimit } from "./limits.ts";
import type { HolderLimit } from "./limits.ts";

/** The longest identifier, in bytes. */
export const HOLDER_ID_BYTES_MAX = 255;

/** The first byte of a request. */
const HOLDER_COMMAND = {
  store: 0x53,
  delete: 0x44,
  retrieve: 0x52,
  list: 0x4c,
  getDump: 0x3f,
  setDump: 0x21,
  dumpData: 0x2e,
  /** Ours: hand over, and commit. */
  handOver: 0x48,
  commit: 0x43,
} as const satisfies Readonly<Record<HolderRequest["kind"], number>>;

/** The version of the hand-over that this holder speaks. */
export const HANDOVER_VERSION = 1;

/** An entry of a dump, as it travels. */
export interface WireEntry {
  readonly id: HolderId;
  readonly limit: HolderLimit;
  readonly fd: Fd;
}

/** A request. Its descriptors are the request's. */
export type HolderRequest =
  | { readonly kind: "store"; readonly id: HolderId; readonly limit: HolderLimit; readonly fd: Fd }
  | { readonly kind: "delete"; readonly id: HolderId }
  | { readonly kind: "retrieve"; readonly id: HolderId; readonly deletes: boolean }
  | { readonly kind: "list" }
  | { readonly kind: "getDump" }
  | { readonly kind: "setDump"; readonly total: number }
  | { readonly kind: "dumpData"; readonly entries: readonly WireEntry[] }
  | { readonly kind: "handOver"; readonly version: number }
  | { readonly kind: "commit" };

const COMMANDS = Object.keys(HOLDER_COMMAND) as readonly HolderRequest["kind"][];

/** The kinds by the first byte of a request. */
const KINDS: readonly (HolderRequest["kind"] | undefined)[] = Array.from(
  { length: 256 },
  (_, byte) => COMMANDS.find((kind) => HOLDER_COMMAND[kind] === byte),
);

const ENTRY_BYTES_MAX = TAI64N_BYTES + 1 + HOLDER_ID_BYTES_MAX + 1;

/** The longest request: a full message of a dump. */
export const HOLDER_REQUEST_BYTES_MAX = 1 + UNIX_MESSAGE_FDS_MAX * ENTRY_BYTES_MAX;

/** Is this an identifier: 1 to 255 bytes, none of them NUL? */
export function isHolderId(id: string): boolean {
  return id.length > 0 && id.length <= HOLDER_ID_BYTES_MAX && !id.includes("\0");
}

/** The request of a message; undefined for one that is malformed. */
export function parseHolderRequest(body: Buffer, fds: readonly Fd[]): HolderRequest | undefined {
  const fields = new HolderFields(body);
  const request = readRequest(fields, fds);
  return request !== undefined && fields.isAtEnd ? request : undefined;
}

function readRequest(fields: HolderFields, fds: readonly Fd[]): HolderRequest | undefined {
  const kind = KINDS[fields.byte() ?? KINDS.length];
  if (kind === "store") return readStore(fields, fds);
  if (kind === "dumpData") return readDumpData(fields, fds);
  return kind === undefined || fds.length > 0 ? undefined : readPlain(kind, fields);
}

/** A request without descriptors. */
function readPlain(
  kind: Exclude<HolderRequest["kind"], "store" | "dumpData">,
  fields: HolderFields,
): HolderRequest | undefined {
  switch (kind) {
    case "list":
    case "getDump":
    case "commit":
      return { kind };
    case "delete": {
      const id = fields.id();
      return id === undefined ? undefined : { kind, id };
    }
    case "retrieve": {
      const deletes = fields.byte();
      const id = fields.id();
      if (deletes === undefined || id === undefined) return undefined;
      return { kind, id, deletes: deletes !== 0 };
    }
    case "setDump": {
      const total = fields.uint32();
      return total === undefined ? undefined : { kind, total };
    }
    case "handOver": {
      const version = fields.uint32();
      return version === undefined ? undefined : { kind, version };
    }
  }
}

function readStore(fields: HolderFields, fds: readonly Fd[]): HolderRequest | undefined {
  const limit = fields.limit();
  const id = fields.id();
  const [fd, surplus] = fds;
  if (limit === undefined || id === undefined) return undefined;
  if (fd === undefined || surplus !== undefined) return undefined;
  return { kind: "store", id, limit, fd };
}

function readDumpData(fields: HolderFields, fds: readonly Fd[]): HolderRequest | undefined {
  const entries = readEntries(fields, fds);
  return entries === undefined || fds.length === 0 ? undefined : { kind: "dumpData", entries };
}

/** As many entries as there are descriptors; undefined where one is malformed. */
function readEntries(fields: HolderFields, fds: readonly Fd[]): WireEntry[] | undefined {
  const entries: WireEntry[] = [];
  for (const fd of fds) {
    const limit = fields.limit();
    const id = fields.id();
    if (limit === undefined || id === undefined) return undefined;
    entries.push({ id, limit, fd });
  }
  return entries;
}

/** The entries of a message of a dump that a holder has sent; undefined for one that is malformed. */
export function parseDumpEntries(body: Buffer, fds: readonly Fd[]): WireEntry[] | undefined {
  const fields = new HolderFields(body);
  const entries = readEntries(fields, fds);
  return fields.isAtEnd ? entries : undefined;
}

/** The body of a request; its descriptors travel beside it. */
export function formatHolderRequest(request: HolderRequest): Buffer {
  const command = Buffer.of(HOLDER_COMMAND[request.kind]);
  switch (request.kind) {
    case "store":
      return Buffer.concat([command, formatDumpEntries([request])]);
    case "delete":
      return Buffer.concat([command, formatId(request.id)]);
    case "retrieve": {
      return Buffer.concat([command, Buffer.of(request.deletes ? 1 : 0), formatId(request.id)]);
    }
    case "list":
    case "getDump":
    case "commit":
      return command;
    case "setDump":
      return Buffer.concat([command, formatUint32(request.total)]);
    case "handOver":
      return Buffer.concat([command, formatUint32(request.version)]);
    case "dumpData":
      return Buffer.concat([command, formatDumpEntries(request.entries)]);
  }
}

/** Entries as a message of a dump has them. Throws RangeError for what is no identifier. */
export function formatDumpEntries(
  entries: readonly { readonly id: HolderId; readonly limit: HolderLimit }[],
): Buffer {
  let text = "";
  for (const { limit, id } of entries) text += limit + idField(id);
  return Buffer.from(text, "latin1");
}

export function formatUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Its length, its bytes and a NUL. Throws RangeError for what is no identifier. */
function formatId(id: HolderId): Buffer {
  return Buffer.from(idField(id), "latin1");
}

/** The same as characters that stand for bytes. */
export function idField(id: HolderId): string {
  if (!isHolderId(id)) throw new RangeError(`Not an identifier: ${JSON.stringify(id)}`);
  return `${String.fromCharCode(id.length)}${id}\0`;
}

/** From this length on, V8 makes a reference to the text of a slice of it. */
const SLICE_MIN = 13;

/** Reads one field after the other; undefined for one that is cut short or malformed. */
export class HolderFields {
  readonly #bytes: Buffer;
  /** One character for each byte: for small fields this is cheaper than views of the bytes. */
  readonly #text: string;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#text = bytes.toString("latin1");
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  byte(): number | undefined {
    return this.#at < this.#text.length ? this.#text.charCodeAt(this.#at++) : undefined;
  }

  uint32(): number | undefined {
    const bytes = this.#take(4);
    return bytes === undefined ? undefined : Buffer.from(bytes, "latin1").readUInt32BE();
  }

  limit(): HolderLimit | undefined {
    const label = this.#take(TAI64N_BYTES);
    return label === undefined ? undefined : parseHolderLimit(label);
  }

  id(): HolderId | undefined {
    const length = this.byte();
    if (length === undefined || length === 0) return undefined;
    const id = this.#take(length);
    // The NUL behind it is the first one.
    const end = this.#at;
    if (id === undefined || this.#text.indexOf("\0", end - length) !== end) return undefined;
    this.#at = end + 1;
    return id;
  }

  #take(length: number): string | undefined {
    const start = this.#at;
    const end = start + length;
    if (end > this.#text.length) return undefined;
    this.#at = end;
    // A long slice would keep the whole text in memory.
    return length < SLICE_MIN
      ? this.#text.slice(start, end)
      : this.#bytes.toString("latin1", start, end);
  }
}
