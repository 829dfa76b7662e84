/**
 * Reading D. J. Bernstein's constant database: 256 hash tables behind a run of records, 32-bit
 * little-endian throughout (docs/formats/cdb.md). The whole file is in memory; every access is
 * checked against its end, so that a truncated or crafted file is a CdbError, never a wrong answer.
 */

import { TableRecords } from "./table-records.ts";

/** A file that is not a constant database, or not all of one. */
export class CdbError extends Error {
  override readonly name = "CdbError";
}

/** One record; key and value are views into the file's bytes. */
export interface CdbRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** The position in the file at which the record begins. */
  readonly position: number;
}

/** The format's positions are 32 bits wide. */
export const CDB_BYTES_MAX = 0xffff_ffff;
/** 256 pairs of table position and slot count. */
export const CDB_HEADER_BYTES = 2048;
export const CDB_TABLES = 256;
/** A slot (hash, record position), and equally a record's two lengths. */
export const CDB_PAIR_BYTES = 8;
export const CDB_HASH_START = 5381;

/** djb's hash of `bytes[start..end)`, as an unsigned 32-bit number. */
export function cdbHash(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = CDB_HASH_START;
  for (let at = start; at < end; at += 1) hash = Math.imul(hash, 33) ^ (bytes[at] ?? 0);
  return hash >>> 0;
}

/**
 * What is wrong with a header in a file of this size; undefined where the records and every table lie within the
 * file. No text is taken for a header: the positions that its letters are lie far outside.
 */
export function findHeaderProblem(header: DataView, fileBytes: number): string | undefined {
  if (header.byteLength < CDB_HEADER_BYTES) return "shorter than a CDB header";
  const recordsEnd = header.getUint32(0, true);
  if (recordsEnd < CDB_HEADER_BYTES || recordsEnd > fileBytes) {
    return "the records end outside the file";
  }
  let slots = 0;
  for (let table = 0; table < CDB_TABLES; table += 1) {
    const position = header.getUint32(table * CDB_PAIR_BYTES, true);
    const count = header.getUint32(table * CDB_PAIR_BYTES + 4, true);
    if (count === 0) continue;
    slots += count;
    if (position < recordsEnd || position + count * CDB_PAIR_BYTES > fileBytes) {
      return `hash table ${table} lies outside the file`;
    }
  }
  return slots * CDB_PAIR_BYTES > fileBytes ? "hash tables overlap" : undefined;
}

export class Cdb {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The position at which the records end and table 0 begins. */
  readonly #recordsEnd: number;
  #lookupSteps = 0;

  /** Throws CdbError unless the header is whole and every table lies within the file. */
  constructor(bytes: Uint8Array) {
    if (bytes.length < CDB_HEADER_BYTES) throw new CdbError("shorter than a CDB header");
    if (bytes.length > CDB_BYTES_MAX) throw new CdbError("longer than a CDB can be");
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#recordsEnd = this.#word(0);
    const problem = findHeaderProblem(this.#view, bytes.length);
    if (problem !== undefined) throw new CdbError(problem);
  }

  /** The value of the earliest record with this key. Throws CdbError where the file is damaged. */
  find(key: Uint8Array): Uint8Array | undefined {
    const hash = cdbHash(key);
    const step = this.#search(key, hash, 0);
    return step < 0 ? undefined : this.#valueAt(this.#slot(hash, step));
  }

  /** The values of all records with this key, in the order of the hash table, which is the file's. */
  *findAll(key: Uint8Array): Generator<Uint8Array, void> {
    const hash = cdbHash(key);
    for (let step = this.#search(key, hash, 0); step >= 0;) {
      yield this.#valueAt(this.#slot(hash, step));
      step = this.#search(key, hash, step + 1);
    }
  }

  /** Every record in file order. Throws CdbError where a record overruns the records' end. */
  *entries(): Generator<CdbRecord, void> {
    for (let at = CDB_HEADER_BYTES; at + CDB_PAIR_BYTES <= this.#recordsEnd;) {
      yield this.recordAt(at);
      at = this.#recordEnd(at);
    }
  }

  /** The record that begins at a position which `entries` gave. */
  recordAt(position: number): CdbRecord {
    return { key: this.#keyAt(position), value: this.#valueAt(position), position };
  }

  /**
   * The records in the order of the look-ups: of those with one key the one that `find` answers with
   * comes first. Of a file that `verify` has not accepted some may be missing or come twice.
   */
  *byLookup(): Generator<CdbRecord, void> {
    for (let table = 0; table < CDB_TABLES; table += 1) {
      // Look-ups of one key start at one slot, and those that wrap around go on at the first.
      yield* this.#tableRecords(table, false);
      yield* this.#tableRecords(table, true);
    }
  }

  /**
   * Check that records and hash tables agree: each record is found by its own key and no slot leads
   * elsewhere. Throws CdbError otherwise. A damaged key, length, hash or slot is noticed here; a damaged
   * value cannot be. Returns the number of records. Takes time in proportion to the file, whatever is in it.
   */
  verify(): number {
    const records = this.#sortRecords();
    const count = records.left;
    for (let table = 0; table < CDB_TABLES; table += 1) this.#verifyTable(table, records);
    if (records.left > 0) throw new CdbError(`no slot leads to ${records.left} of the records`);
    return count;
  }

  /** The cost of the look-ups so far: one step each, and one for each slot examined. */
  get lookupSteps(): number {
    return this.#lookupSteps;
  }

  /**
   * The records that `find` never answers with, as an earlier look-up finds another with their key: the
   * position of each with that of the other. For tools; holds all keys in memory.
   */
  overridden(): ReadonlyMap<number, number> {
    const deciding = new Map<string, number>();
    const overridden = new Map<number, number>();
    for (const { key, position } of this.byLookup()) {
      const text = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
      const found = deciding.get(text);
      if (found === undefined) deciding.set(text, position);
      else overridden.set(position, found);
    }
    return overridden;
  }

  /** The first probe step at or after `from` whose slot holds this key; -1 when there is none. */
  #search(key: Uint8Array, hash: number, from: number): number {
    const count = this.#word((hash & 255) * CDB_PAIR_BYTES + 4);
    this.#lookupSteps += 1;
    for (let step = from; step < count; step += 1) {
      this.#lookupSteps += 1;
      const slot = this.#slotPosition(hash, count, step);
      const record = this.#word(slot + 4);
      if (record === 0) return -1;
      if (this.#word(slot) === hash && this.#hasKey(record, key)) return step;
    }
    return -1;
  }

  /** The record position in the slot that probe step `step` of this hash reads. */
  #slot(hash: number, step: number): number {
    const count = this.#word((hash & 255) * CDB_PAIR_BYTES + 4);
    return this.#word(this.#slotPosition(hash, count, step) + 4);
  }

  #slotPosition(hash: number, count: number, step: number): number {
    const start = this.#word((hash & 255) * CDB_PAIR_BYTES);
    return start + (((hash >>> 8) + step) % count) * CDB_PAIR_BYTES;
  }

  #hasKey(record: number, key: Uint8Array): boolean {
    this.#recordEnd(record);
    if (this.#word(record) !== key.length) return false;
    const start = record + CDB_PAIR_BYTES;
    for (let at = 0; at < key.length; at += 1) {
      if (this.#bytes[start + at] !== key[at]) return false;
    }
    return true;
  }

  /** All records, by the tables that their keys belong to. */
  #sortRecords(): TableRecords {
    const records = new TableRecords(this.#slotCounts());
    for (let at = CDB_HEADER_BYTES; at < this.#recordsEnd;) {
      const end = this.#recordEnd(at);
      const key = at + CDB_PAIR_BYTES;
      const hash = cdbHash(this.#bytes, key, key + this.#word(at));
      if (!records.add(at, hash)) throw new CdbError(`no slot leads to the record at ${at}`);
      at = end;
    }
    return records;
  }

  #slotCounts(): Uint32Array {
    return new Uint32Array(CDB_TABLES).map((_, table) => this.#word(table * CDB_PAIR_BYTES + 4));
  }

  /** Take the records that the slots of a table lead to. Each must be within reach of its first slot. */
  #verifyTable(table: number, records: TableRecords): void {
    const start = this.#word(table * CDB_PAIR_BYTES);
    const count = this.#word(table * CDB_PAIR_BYTES + 4);
    const empty = this.#firstEmptySlot(start, count);
    // A look-up ends at an empty slot; without one it goes all the way round.
    let reach = empty < 0 ? count : 0;
    for (let step = 1; step <= count; step += 1) {
      const slot = (Math.max(empty, 0) + step) % count;
      const record = this.#word(start + slot * CDB_PAIR_BYTES + 4);
      if (record === 0) {
        reach = 0;
        continue;
      }
      if (empty >= 0) reach += 1;
      const hash = this.#word(start + slot * CDB_PAIR_BYTES);
      if (!records.take(table, record, hash)) throw new CdbError("a slot leads to no record");
      const distance = (slot - ((hash >>> 8) % count) + count) % count;
      if (distance >= reach) throw new CdbError(`no look-up reaches the record at ${record}`);
    }
  }

  /** -1 where all are taken. */
  #firstEmptySlot(start: number, count: number): number {
    for (let slot = 0; slot < count; slot += 1) {
      if (this.#word(start + slot * CDB_PAIR_BYTES + 4) === 0) return slot;
    }
    return -1;
  }

  /** The records of a table in the order of its slots: those before their first slot, or the others. */
  *#tableRecords(table: number, hasWrapped: boolean): Generator<CdbRecord, void> {
    const start = this.#word(table * CDB_PAIR_BYTES);
    const count = this.#word(table * CDB_PAIR_BYTES + 4);
    for (let slot = 0; slot < count; slot += 1) {
      const record = this.#word(start + slot * CDB_PAIR_BYTES + 4);
      if (record === 0) continue;
      const first = (this.#word(start + slot * CDB_PAIR_BYTES) >>> 8) % count;
      if (slot < first === hasWrapped) yield this.recordAt(record);
    }
  }

  #keyAt(record: number): Uint8Array {
    this.#recordEnd(record);
    const start = record + CDB_PAIR_BYTES;
    return this.#bytes.subarray(start, start + this.#word(record));
  }

  #valueAt(record: number): Uint8Array {
    const end = this.#recordEnd(record);
    return this.#bytes.subarray(end - this.#word(record + 4), end);
  }

  /** The end of the record at `record`; CdbError unless it lies within the records. */
  #recordEnd(record: number): number {
    if (record >= CDB_HEADER_BYTES && record + CDB_PAIR_BYTES <= this.#recordsEnd) {
      const end = record + CDB_PAIR_BYTES + this.#word(record) + this.#word(record + 4);
      if (end <= this.#recordsEnd) return end;
    }
    throw new CdbError(`the record at ${record} lies outside the records`);
  }

  /** Callers keep `at` within the file; DataView throws RangeError should one not. */
  #word(at: number): number {
    return this.#view.getUint32(at, true);
  }
}
