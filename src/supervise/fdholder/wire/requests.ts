/**
 * The requests of an fd holder's clients, as bodies of Unix messages (local-services.md, section 9.3), and
 * two of ours, by which a holder hands everything over to its successor (docs/formats/fd-holder.md).
 */

import { packTai64n, TAI64N_BYTES, unpackTai64n } from "../../../clock/index.ts";
import type { Tai } from "../../../clock/index.ts";
import { UNIX_MESSAGE_FDS_MAX } from "../../../net/index.ts";
import type { Fd } from "../../../posix/index.ts";
import type { HolderId } from "../held-table.ts";

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

/** An entry of a dump. */
export interface DumpEntry {
  readonly id: HolderId;
  readonly limit: Tai;
  readonly fd: Fd;
}

/** A request. Its descriptors are the request's. */
export type HolderRequest =
  | { readonly kind: "store"; readonly id: HolderId; readonly limit: Tai; readonly fd: Fd }
  | { readonly kind: "delete"; readonly id: HolderId }
  | { readonly kind: "retrieve"; readonly id: HolderId; readonly deletes: boolean }
  | { readonly kind: "list" }
  | { readonly kind: "getDump" }
  | { readonly kind: "setDump"; readonly total: number }
  | { readonly kind: "dumpData"; readonly entries: readonly DumpEntry[] }
  | { readonly kind: "handOver"; readonly version: number }
  | { readonly kind: "commit" };

const KINDS: ReadonlyMap<number, HolderRequest["kind"]> = new Map(
  Object.entries(HOLDER_COMMAND).map(([kind, byte]) => [byte, kind as HolderRequest["kind"]]),
);

const ENTRY_BYTES_MAX = TAI64N_BYTES + 1 + HOLDER_ID_BYTES_MAX + 1;

/** The longest request: a full message of a dump. */
export const HOLDER_REQUEST_BYTES_MAX = 1 + UNIX_MESSAGE_FDS_MAX * ENTRY_BYTES_MAX;

/** Is this an identifier: 1 to 255 bytes, none of them NUL? */
export function isHolderId(id: string): boolean {
  return id.length > 0 && id.length <= HOLDER_ID_BYTES_MAX && !id.includes("\0");
}

/** The request of a message; undefined for one that is malformed. */
export function parseHolderRequest(
  body: Uint8Array,
  fds: readonly Fd[],
): HolderRequest | undefined {
  const fields = new HolderFields(body);
  const request = readRequest(fields, fds);
  return request !== undefined && fields.isAtEnd ? request : undefined;
}

function readRequest(fields: HolderFields, fds: readonly Fd[]): HolderRequest | undefined {
  const kind = KINDS.get(fields.byte() ?? -1);
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
  const limit = fields.tai();
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
function readEntries(fields: HolderFields, fds: readonly Fd[]): DumpEntry[] | undefined {
  const entries: DumpEntry[] = [];
  for (const fd of fds) {
    const limit = fields.tai();
    const id = fields.id();
    if (limit === undefined || id === undefined) return undefined;
    entries.push({ id, limit, fd });
  }
  return entries;
}

/** The entries of a message of a dump that a holder has sent; undefined for one that is malformed. */
export function parseDumpEntries(body: Uint8Array, fds: readonly Fd[]): DumpEntry[] | undefined {
  const fields = new HolderFields(body);
  const entries = readEntries(fields, fds);
  return fields.isAtEnd ? entries : undefined;
}

/** The body of a request; its descriptors travel beside it. */
export function formatHolderRequest(request: HolderRequest): Buffer {
  const command = Buffer.of(HOLDER_COMMAND[request.kind]);
  switch (request.kind) {
    case "store":
      return Buffer.concat([command, packTai64n(request.limit), formatId(request.id)]);
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

/** Entries as a message of a dump has them. */
export function formatDumpEntries(
  entries: readonly { readonly id: HolderId; readonly limit: Tai }[],
): Buffer {
  return Buffer.concat(entries.flatMap(({ limit, id }) => [packTai64n(limit), formatId(id)]));
}

export function formatUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Its length, its bytes and a NUL. Throws RangeError for what is no identifier. */
export function formatId(id: HolderId): Buffer {
  if (!isHolderId(id)) throw new RangeError(`Not an identifier: ${JSON.stringify(id)}`);
  const bytes = Buffer.alloc(id.length + 2);
  bytes[0] = id.length;
  bytes.write(id, 1, "latin1");
  return bytes;
}

/** Reads one field after the other; undefined for one that is cut short or malformed. */
export class HolderFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number | undefined {
    return this.#take(1)?.[0];
  }

  uint32(): number | undefined {
    return this.#take(4)?.readUInt32BE();
  }

  tai(): Tai | undefined {
    const bytes = this.#take(TAI64N_BYTES);
    return bytes === undefined ? undefined : unpackTai64n(bytes);
  }

  id(): HolderId | undefined {
    const length = this.byte() ?? 0;
    const bytes = this.#take(length + 1);
    if (length === 0 || bytes?.[length] !== 0) return undefined;
    const id = bytes.toString("latin1", 0, length);
    return id.includes("\0") ? undefined : id;
  }

  #take(length: number): Buffer | undefined {
    const end = this.#at + length;
    if (end > this.#bytes.length) return undefined;
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
