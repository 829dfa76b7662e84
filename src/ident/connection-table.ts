/**
 * The kernel's tables of TCP connections, /proc/net/tcp and /proc/net/tcp6 (proc(5)): what a connection
 * is called in them, and a fed scanner that looks for connections by these names. An address is not
 * decoded: the one that is wanted is encoded, once, and compared as text.
 */

import { endianness } from "node:os";

import { unmapIp } from "../net/index.ts";
import type { Endpoint, IpAddress } from "../net/index.ts";
import type { Uid } from "../posix/index.ts";

/** A connection as the machine that has it sees it. */
export interface ConnectionEntry {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** The order of the bytes of a number on this machine, which shows in the tables. */
export type ByteOrder = ReturnType<typeof endianness>;

/** More than any row has; one that is longer is passed over. */
export const TABLE_ROW_BYTES_MAX = 512;

/** The first bytes of an IPv4-mapped address (RFC 4291 section 2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

const NEWLINE = 0x0a;

/** Slot, both ends, state, queues, timer, retransmissions; then uid, timeout and inode. */
const ROW =
  /^ *\d+: ([0-9A-F]{8,32}:[0-9A-F]{4} [0-9A-F]{8,32}:[0-9A-F]{4}) [0-9A-F]+ \S+ \S+ \S+ +(\d{1,10}) +\d+ +(\d+)/;

/**
 * The names of a connection: in the table of its family, and for an IPv4 one also in that of IPv6,
 * where it is when the program has an IPv6 socket. None for ends of different families.
 */
export function connectionNames(
  connection: ConnectionEntry,
  order: ByteOrder = endianness(),
): readonly string[] {
  const local = unmapIp(connection.local.address);
  const remote = unmapIp(connection.remote.address);
  if (local.family !== remote.family) return [];
  const name = (from: IpAddress, to: IpAddress): string =>
    `${formatEnd(from, connection.local.port, order)} ${formatEnd(to, connection.remote.port, order)}`;
  if (local.family === 6) return [name(local, remote)];
  return [name(local, remote), name(mapIp4(local), mapIp4(remote))];
}

/**
 * The name and the owner in a row of a table; undefined for the heading, a row of another form, and a
 * connection that belongs to no process (any more, or yet): those have inode 0, and whoever the
 * kernel says owns them, which is often root, is not to be believed.
 */
export function parseTableRow(
  row: string,
): { readonly name: string; readonly uid: Uid } | undefined {
  const [, name, uid, inode] = ROW.exec(row) ?? [];
  if (name === undefined || Number(inode) === 0) return undefined;
  return { name, uid: Number(uid) };
}

/** Looks for connections in a table that is read in pieces; keeps no more than a row of it. */
export class TableScanner {
  /** The owners found so far, by name. */
  readonly owners = new Map<string, Uid>();
  readonly #wanted: ReadonlySet<string>;
  #rest = "";
  /** The row that the last piece ended in is too long, and passed over. */
  #isSkipping = false;

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  /** Take the next piece. */
  push(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#take(this.#rest + this.#text(bytes, start, end));
      this.#rest = "";
      this.#isSkipping = false;
      start = end + 1;
    }
    this.#rest += this.#text(bytes, start, bytes.length);
    if (this.#rest.length > TABLE_ROW_BYTES_MAX) this.#isSkipping = true;
    if (this.#isSkipping) this.#rest = "";
  }

  #text(bytes: Buffer, start: number, end: number): string {
    return bytes.toString("latin1", start, Math.min(end, start + TABLE_ROW_BYTES_MAX + 1));
  }

  #take(row: string): void {
    if (this.#isSkipping || row.length > TABLE_ROW_BYTES_MAX) return;
    const parsed = parseTableRow(row);
    if (parsed === undefined || !this.#wanted.has(parsed.name)) return;
    this.owners.set(parsed.name, parsed.uid);
  }
}

/** Each four bytes of an address are printed as the number that they are to this machine. */
function formatEnd({ bytes }: IpAddress, port: number, order: ByteOrder): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const word = Buffer.from(bytes.subarray(at, at + 4));
    text += (order === "LE" ? word.reverse() : word).toString("hex");
  }
  return `${text}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}

function mapIp4({ bytes }: IpAddress): IpAddress {
  return { family: 6, bytes: Uint8Array.from([...MAPPED, ...bytes]) };
}
