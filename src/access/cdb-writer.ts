/**
 * Writing constant databases, byte for byte as cdbmake, tcprules and the C suite write them: the
 * same records in the same order give the same file (docs/formats/cdb.md). Records stream out as
 * they come; only a hash and a position of each stay in memory, eight bytes per record.
 */

import { endianness } from "node:os";
import { CDB_BYTES_MAX, CDB_HASH_START, CDB_HEADER_BYTES } from "./cdb.ts";
import { CDB_PAIR_BYTES, CDB_TABLES, cdbHash } from "./cdb.ts";

/** Where a database goes: all of `bytes` at `position`. The bytes are reused after the call. */
export interface CdbSink {
  write(bytes: Uint8Array, position: number): void;
}

/** Records are collected in a buffer of this size before they go to the sink. */
const BUFFER_BYTES = 1 << 18;
const RECORDS_FIRST = 1 << 10;
const IS_BIG_ENDIAN = endianness() === "BE";

export class CdbWriter {
  readonly #sink: CdbSink;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  /** How much of the buffer is in use, and the file position of its first byte. */
  #used = 0;
  #flushed = CDB_HEADER_BYTES;
  #records = 0;
  /** Hash and position of each record, by turns. */
  #pairs = new Uint32Array(2 * RECORDS_FIRST);

  constructor(sink: CdbSink) {
    this.#sink = sink;
  }

  /** How many records were added. */
  get records(): number {
    return this.#records;
  }

  /** Append a record. Throws RangeError once the file would outgrow the format. */
  add(key: Uint8Array, value: Uint8Array): void {
    this.addSlice(key, 0, key.length, value);
  }

  /** Append a record whose key is `source[start..end)`. */
  addSlice(source: Uint8Array, start: number, end: number, value: Uint8Array): void {
    const bytes = CDB_PAIR_BYTES + end - start + value.length;
    if (this.#used + bytes > BUFFER_BYTES) this.#flush();
    const record = this.#flushed + this.#used;
    const tables = (this.#records + 1) * 2 * CDB_PAIR_BYTES;
    if (record + bytes + tables > CDB_BYTES_MAX) {
      throw new RangeError(`a CDB holds at most ${CDB_BYTES_MAX} bytes`);
    }
    if (bytes > BUFFER_BYTES) {
      this.#addLarge(record, source.subarray(start, end), value);
      return;
    }
    const buffer = this.#buffer;
    let to = this.#used;
    this.#view.setUint32(to, end - start, true);
    this.#view.setUint32(to + 4, value.length, true);
    to += CDB_PAIR_BYTES;
    let hash = CDB_HASH_START;
    for (let at = start; at < end; at += 1) {
      const byte = source[at] as number;
      hash = Math.imul(hash, 33) ^ byte;
      buffer[to] = byte;
      to += 1;
    }
    for (let at = 0; at < value.length; at += 1) {
      buffer[to] = value[at] as number;
      to += 1;
    }
    this.#used = to;
    this.#note(hash, record);
  }

  /** Write the hash tables and the header. Nothing may be added afterwards. */
  finish(): void {
    const header = new DataView(new ArrayBuffer(CDB_HEADER_BYTES));
    const { pairs, counts } = this.#byTable();
    const largest = new Uint32Array(4 * Math.max(...counts));
    let done = 0;
    for (let table = 0; table < CDB_TABLES; table += 1) {
      const count = counts[table] ?? 0;
      header.setUint32(table * CDB_PAIR_BYTES, this.#flushed + this.#used, true);
      header.setUint32(table * CDB_PAIR_BYTES + 4, 2 * count, true);
      const slots = largest.subarray(0, 4 * count);
      fillTable(slots, pairs.subarray(2 * done, 2 * (done + count)));
      this.#put(littleEndianBytes(slots));
      done += count;
    }
    this.#flush();
    this.#sink.write(new Uint8Array(header.buffer), 0);
  }

  #note(hash: number, record: number): void {
    const at = 2 * this.#records;
    if (at === this.#pairs.length) this.#pairs = doubled(this.#pairs);
    this.#pairs[at] = hash;
    this.#pairs[at + 1] = record;
    this.#records += 1;
  }

  /** The pairs sorted by the table they belong to, each table's in the order they came. */
  #byTable(): { readonly pairs: Uint32Array; readonly counts: Uint32Array } {
    const pairs = this.#pairs;
    const end = 2 * this.#records;
    const counts = new Uint32Array(CDB_TABLES);
    for (let at = 0; at < end; at += 2) {
      const table = (pairs[at] as number) & 255;
      counts[table] = (counts[table] as number) + 1;
    }
    const next = new Uint32Array(CDB_TABLES);
    for (let table = 1; table < CDB_TABLES; table += 1) {
      next[table] = (next[table - 1] as number) + 2 * (counts[table - 1] as number);
    }
    const sorted = new Uint32Array(end);
    for (let at = 0; at < end; at += 2) {
      const hash = pairs[at] as number;
      const to = next[hash & 255] as number;
      sorted[to] = hash;
      sorted[to + 1] = pairs[at + 1] as number;
      next[hash & 255] = to + 2;
    }
    return { pairs: sorted, counts };
  }

  /** A record that does not fit the buffer, which is empty now. */
  #addLarge(record: number, key: Uint8Array, value: Uint8Array): void {
    this.#view.setUint32(0, key.length, true);
    this.#view.setUint32(4, value.length, true);
    this.#used = CDB_PAIR_BYTES;
    this.#put(key);
    this.#put(value);
    this.#note(cdbHash(key), record);
  }

  #put(bytes: Uint8Array): void {
    if (this.#used + bytes.length > BUFFER_BYTES) this.#flush();
    if (bytes.length > BUFFER_BYTES) {
      this.#sink.write(bytes, this.#flushed);
      this.#flushed += bytes.length;
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#sink.write(this.#buffer.subarray(0, this.#used), this.#flushed);
    this.#flushed += this.#used;
    this.#used = 0;
  }
}

/** Fill one hash table: twice as many slots as pairs, linear probing from (hash >> 8). */
function fillTable(slots: Uint32Array, pairs: Uint32Array): void {
  slots.fill(0);
  const count = slots.length >>> 1;
  for (let at = 0; at < pairs.length; at += 2) {
    const hash = pairs[at] as number;
    let slot = ((hash >>> 8) % count) << 1;
    while (slots[slot + 1] !== 0) {
      slot += 2;
      if (slot === slots.length) slot = 0;
    }
    slots[slot] = hash;
    slots[slot + 1] = pairs[at + 1] as number;
  }
}

/** The words as the file wants them. On a big-endian machine they are swapped where they are. */
function littleEndianBytes(words: Uint32Array): Uint8Array {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return IS_BIG_ENDIAN ? bytes.swap32() : bytes;
}

function doubled(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(words.length * 2);
  larger.set(words);
  return larger;
}
