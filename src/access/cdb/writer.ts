/**
 * Writing constant databases, byte for byte as cdbmake, tcprules and the C suite write them: the
 * same records in the same order give the same file (docs/formats/cdb.md). Records stream out as
 * they come; only a hash and a position of each stay in memory, eight bytes per record.
 */

import { endianness } from "node:os";
import { CDB_BYTES_MAX, CDB_HASH_START, CDB_HEADER_BYTES } from "./cdb.ts";
import { CDB_PAIR_BYTES, CDB_TABLES, cdbHash } from "./cdb.ts";

/** The file that a database is written to: all of `bytes` at `position`. The bytes are reused after the call. */
export interface CdbSink {
  write(bytes: Uint8Array, position: number): void;
}

/** Records are collected in a buffer of this size before they go to the sink. */
const BUFFER_BYTES = 1 << 18;
/** The longest key that `beginKey` takes, and the longest value that `endRecord` does. */
const SHORT_BYTES_MAX = 256;
const SHORT_RECORD_BYTES_MAX = CDB_PAIR_BYTES + 2 * SHORT_BYTES_MAX;
const PAIRS_FIRST = 16;
const IS_BIG_ENDIAN = endianness() === "BE";

export class CdbWriter {
  readonly #sink: CdbSink;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  /** The number of bytes of the buffer in use, and the file position of its first byte. */
  #used = 0;
  #flushed = CDB_HEADER_BYTES;
  #records = 0;
  /** For each table the hash and the position of its records, by turns, and how many words those are. */
  readonly #pairs = Array.from({ length: CDB_TABLES }, () => new Uint32Array(2 * PAIRS_FIRST));
  readonly #words = new Uint32Array(CDB_TABLES);
  /** Of the record that `beginKey` began. */
  #keyBytes = 0;
  #hash = 0;

  constructor(sink: CdbSink) {
    this.#sink = sink;
  }

  /** The number of records that were added. */
  get records(): number {
    return this.#records;
  }

  /** Append a record. Throws RangeError once the file would outgrow the format. */
  add(key: Uint8Array, value: Uint8Array): void {
    this.addSlice(key, 0, key.length, value);
  }

  /** Append a record whose key is `source[start..end)`. */
  addSlice(source: Uint8Array, start: number, end: number, value: Uint8Array): void {
    const keyBytes = end - start;
    const bytes = CDB_PAIR_BYTES + keyBytes + value.length;
    if (this.#used + bytes > BUFFER_BYTES) this.#flush();
    if (bytes > BUFFER_BYTES) {
      this.#addLarge(source.subarray(start, end), value);
      return;
    }
    const buffer = this.#buffer;
    let to = this.#used + CDB_PAIR_BYTES;
    let hash = CDB_HASH_START;
    for (let at = start; at < end; at += 1) {
      const byte = source[at] as number;
      hash = ((hash << 5) + hash) ^ byte;
      buffer[to] = byte;
      to += 1;
    }
    this.#endRecord(keyBytes, hash, value);
  }

  /**
   * Begin a record whose key is `source` from `start` to the first byte that has an entry other than
   * 0 in `stops`: where that byte is, or -1 when there is none within 256 bytes. One pass finds the
   * end, copies and hashes. A record that is begun and not ended leaves no trace.
   */
  beginKey(source: Uint8Array, start: number, stops: Uint8Array): number {
    if (this.#used + SHORT_RECORD_BYTES_MAX > BUFFER_BYTES) this.#flush();
    const buffer = this.#buffer;
    const end = Math.min(source.length, start + SHORT_BYTES_MAX);
    const ahead = this.#used + CDB_PAIR_BYTES - start;
    let hash = CDB_HASH_START;
    for (let at = start; at < end; at += 1) {
      const byte = source[at] as number;
      if (stops[byte] !== 0) {
        this.#keyBytes = at - start;
        this.#hash = hash;
        return at;
      }
      buffer[at + ahead] = byte;
      hash = ((hash << 5) + hash) ^ byte;
    }
    return -1;
  }

  /** End the record that `beginKey` began; the value is at most 256 bytes long. */
  endRecord(value: Uint8Array): void {
    if (value.length > SHORT_BYTES_MAX) throw new RangeError("The value is too long for endRecord");
    this.#endRecord(this.#keyBytes, this.#hash, value);
  }

  /** Write the hash tables and the header. Nothing may be added afterwards. */
  finish(): void {
    const header = new DataView(new ArrayBuffer(CDB_HEADER_BYTES));
    const wordsMost = this.#words.reduce((most, words) => Math.max(most, words));
    const largest = new Uint32Array(2 * wordsMost);
    const next = new Uint32Array(wordsMost);
    for (let table = 0; table < CDB_TABLES; table += 1) {
      const pairs = this.#pairs[table]?.subarray(0, this.#words[table]) ?? largest;
      header.setUint32(table * CDB_PAIR_BYTES, this.#flushed + this.#used, true);
      header.setUint32(table * CDB_PAIR_BYTES + 4, pairs.length, true);
      const slots = largest.subarray(0, 2 * pairs.length);
      fillTable(slots, pairs, next);
      this.#put(littleEndianBytes(slots));
    }
    this.#flush();
    this.#sink.write(new Uint8Array(header.buffer), 0);
  }

  /** Give the record whose key is in the buffer its value and its lengths. */
  #endRecord(keyBytes: number, hash: number, value: Uint8Array): void {
    const at = this.#used;
    const buffer = this.#buffer;
    let to = at + CDB_PAIR_BYTES + keyBytes;
    for (let from = 0; from < value.length; from += 1) {
      buffer[to] = value[from] as number;
      to += 1;
    }
    this.#view.setUint32(at, keyBytes, true);
    this.#view.setUint32(at + 4, value.length, true);
    this.#note(hash, this.#flushed + at, to - at);
    this.#used = to;
  }

  /** Remember a record for its table. Throws unless it and all tables fit into 32-bit positions. */
  #note(hash: number, record: number, bytes: number): void {
    this.#records += 1;
    if (record + bytes + this.#records * 2 * CDB_PAIR_BYTES > CDB_BYTES_MAX) {
      throw new RangeError(`a CDB holds at most ${CDB_BYTES_MAX} bytes`);
    }
    const table = hash & 255;
    const words = this.#words[table] as number;
    let pairs = this.#pairs[table] as Uint32Array<ArrayBuffer>;
    if (words === pairs.length) {
      pairs = enlarged(pairs);
      this.#pairs[table] = pairs;
    }
    pairs[words] = hash;
    pairs[words + 1] = record;
    this.#words[table] = words + 2;
  }

  /** A record that does not fit the buffer, which is empty now. */
  #addLarge(key: Uint8Array, value: Uint8Array): void {
    this.#note(cdbHash(key), this.#flushed, CDB_PAIR_BYTES + key.length + value.length);
    this.#view.setUint32(0, key.length, true);
    this.#view.setUint32(4, value.length, true);
    this.#used = CDB_PAIR_BYTES;
    this.#put(key);
    this.#put(value);
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

/**
 * Fill one hash table: twice as many slots as pairs, each pair in the first free slot from (hash >> 8)
 * on. `next` has a word for each slot and tells where to look on from one that is taken, so that many
 * pairs for one slot do not walk past each other: n equal keys take n steps and not n squared.
 */
function fillTable(slots: Uint32Array, pairs: Uint32Array, next: Uint32Array): void {
  slots.fill(0);
  const count = slots.length >>> 1;
  for (let slot = 0; slot < count; slot += 1) next[slot] = slot;
  for (let at = 0; at < pairs.length; at += 2) {
    const hash = pairs[at] as number;
    const slot = findFree(next, (hash >>> 8) % count);
    slots[2 * slot] = hash;
    slots[2 * slot + 1] = pairs[at + 1] as number;
    next[slot] = slot + 1 === count ? 0 : slot + 1;
  }
}

/** The first free slot from `from` on, which points to itself. Halves the way there for the next one. */
function findFree(next: Uint32Array, from: number): number {
  let slot = from;
  for (;;) {
    const after = next[slot] as number;
    if (after === slot) return slot;
    const beyond = next[after] as number;
    next[slot] = beyond;
    slot = beyond;
  }
}

/** The words as the file wants them. On a big-endian machine they are swapped where they are. */
function littleEndianBytes(words: Uint32Array): Uint8Array {
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return IS_BIG_ENDIAN ? bytes.swap32() : bytes;
}

/** Four times the room: there are 256 of these, and copying them often costs more than memory. */
function enlarged(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(words.length * 4);
  larger.set(words);
  return larger;
}
