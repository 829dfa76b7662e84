/**
 * The lines that wait to be written to the log: a bounded queue that knows which of them matter. When
 * there is no room, information goes before warnings, warnings before fatal messages, and the latest
 * before those that are older; lines that are missing are counted, and one line tells the count
 * once the queue has drained to half. Lines that stay keep their order. Nothing here does I/O.
 */

import { encodeBytes } from "../posix/index.ts";

/** The kind of a line: the word between the program's name and the text. */
export type MessageKind = "usage" | "fatal" | "warning" | "info";

/** The maximum of bytes that wait. */
export const QUEUE_BYTES_MAX = 256 * 1024;

/** The order in which lines are dropped without room. The notice of missing lines is never dropped. */
const RANK = { info: 0, warning: 1, usage: 2, fatal: 2 } as const satisfies Record<
  MessageKind,
  number
>;
const LAST_RANK = 2;

const NEWLINE = encodeBytes("\n");

interface Line {
  readonly bytes: Uint8Array;
  /** Its place in the order of lines. */
  readonly order: number;
  /** The number of lines that are missing when this one is lost: more than one for a notice. */
  readonly standsFor: number;
  readonly isFatal: boolean;
}

export class LineQueue {
  readonly #bytesMax: number;
  readonly #notice: (missing: number) => string;
  readonly #ranks: readonly Line[][] = [[], [], []];
  readonly #rankBytes = [0, 0, 0];
  /** The line that is being written, and what is left of it. */
  #current:
    { readonly line: Line; readonly rest: Uint8Array; readonly isBegun: boolean } | undefined;
  #bytes = 0;
  #lastOrder = 0;
  #missing = 0;
  /** A line was given up halfway: the next one has to begin on a line of its own. */
  #isCut = false;

  /** `notice` is the line, without a newline, that tells how many are missing. */
  constructor(notice: (missing: number) => string, bytesMax: number = QUEUE_BYTES_MAX) {
    this.#notice = notice;
    this.#bytesMax = bytesMax;
  }

  /** The number of bytes that wait; never more than the bound, but for one notice of missing lines. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** Does a message wait that says why the program ends? */
  get hasFatal(): boolean {
    return (
      this.#current?.line.isFatal === true ||
      this.#ranks[LAST_RANK]?.some(({ isFatal }) => isFatal) === true
    );
  }

  /** The number of lines that were dropped or lost since the last notice. */
  get missing(): number {
    return this.#missing;
  }

  /** Queue a line, without its newline, or drop it, or others for its sake. */
  add(kind: MessageKind, text: string): void {
    this.#tellMissing();
    const bytes = encodeBytes(`${text}\n`);
    const rank = RANK[kind];
    const isInOrder = rank > 0 || this.#missing === 0;
    if (isInOrder && this.#makeRoom(bytes.length, rank)) {
      this.#push(rank, bytes, 1, rank === LAST_RANK);
    } else {
      this.#missing += 1;
    }
  }

  /** The bytes to write next: a line, or the rest of one. */
  get head(): Uint8Array | undefined {
    if (this.#current === undefined) {
      const line = this.#takeFirst();
      if (line === undefined) return undefined;
      const rest = this.#isCut ? Buffer.concat([NEWLINE, line.bytes]) : line.bytes;
      this.#bytes += rest.length - line.bytes.length;
      this.#current = { line, rest, isBegun: false };
    }
    return this.#current.rest;
  }

  /** The first `count` bytes of the head have been written. */
  advance(count: number): void {
    if (this.#current === undefined || count === 0) return;
    const rest = this.#current.rest.subarray(count);
    this.#bytes -= count;
    this.#isCut = false;
    this.#current =
      rest.length === 0 ? undefined : { line: this.#current.line, rest, isBegun: true };
    if (rest.length === 0) this.#tellMissing();
  }

  /** The head cannot be written: it is missing from the log. */
  lose(): void {
    if (this.#current === undefined) return;
    const { line, rest, isBegun } = this.#current;
    this.#current = undefined;
    this.#bytes -= rest.length;
    this.#missing += line.standsFor;
    this.#isCut ||= isBegun;
  }

  #push(rank: number, bytes: Uint8Array, standsFor: number, isFatal: boolean): void {
    this.#ranks[rank]?.push({ bytes, order: ++this.#lastOrder, standsFor, isFatal });
    this.#count(rank, bytes.length);
  }

  #count(rank: number, bytes: number): void {
    this.#rankBytes[rank] = (this.#rankBytes[rank] ?? 0) + bytes;
    this.#bytes += bytes;
  }

  #tellMissing(): void {
    if (this.#missing === 0 || this.#bytes > this.#bytesMax / 2) return;
    const bytes = encodeBytes(`${this.#notice(this.#missing)}\n`);
    this.#push(LAST_RANK, bytes, this.#missing, false);
    this.#missing = 0;
  }

  /** Make room for a line by dropping the latest of those that matter less; false if that is not enough. */
  #makeRoom(length: number, rank: number): boolean {
    const isFree = (): boolean => this.#bytes + length <= this.#bytesMax;
    const lesser = this.#rankBytes.slice(0, rank).reduce((sum, bytes) => sum + bytes, 0);
    if (this.#bytes - lesser + length > this.#bytesMax) return false;
    for (let lower = 0; lower < rank; lower++) {
      for (let line; !isFree() && (line = this.#ranks[lower]?.pop()) !== undefined;) {
        this.#count(lower, -line.bytes.length);
        this.#missing += line.standsFor;
      }
    }
    return true;
  }

  #takeFirst(): Line | undefined {
    const orders = this.#ranks.map((lines) => lines[0]?.order ?? Infinity);
    const rank = orders.indexOf(Math.min(...orders));
    const line = this.#ranks[rank]?.shift();
    // The line that is being written counts as bytes that wait, but can no longer be dropped.
    if (line !== undefined)
      this.#rankBytes[rank] = (this.#rankBytes[rank] ?? 0) - line.bytes.length;
    return line;
  }
}
