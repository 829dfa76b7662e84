/** The records of a database sorted into its hash tables, to be compared with the slots. */

/** These bits of a hash are the number of its table. */
const TABLE_BITS = 255;

export class TableRecords {
  /** The start of the records of each table in the arrays, and their number. */
  readonly #firsts: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #slots: ArrayLike<number>;
  /** For each record its position, ascending within a table, its hash, and whether it was taken. */
  readonly #positions: Uint32Array;
  readonly #hashes: Uint32Array;
  readonly #taken: Uint8Array;
  #left = 0;

  /** There is room for as many records as the tables have slots. */
  constructor(slots: ArrayLike<number>) {
    this.#slots = slots;
    this.#firsts = new Uint32Array(slots.length);
    this.#counts = new Uint32Array(slots.length);
    let room = 0;
    for (let table = 0; table < slots.length; table += 1) {
      this.#firsts[table] = room;
      room += slots[table] as number;
    }
    this.#positions = new Uint32Array(room);
    this.#hashes = new Uint32Array(room);
    this.#taken = new Uint8Array(room);
  }

  /** The number of records that were added and not taken. */
  get left(): number {
    return this.#left;
  }

  /** Add a record behind those before it; false when its table has no slot left for it. */
  add(position: number, hash: number): boolean {
    const table = hash & TABLE_BITS;
    const count = this.#counts[table] as number;
    if (count === this.#slots[table]) return false;
    const at = (this.#firsts[table] as number) + count;
    this.#positions[at] = position;
    this.#hashes[at] = hash;
    this.#counts[table] = count + 1;
    this.#left += 1;
    return true;
  }

  /** Take a record of this table; false when there is none with this hash, or it was taken before. */
  take(table: number, position: number, hash: number): boolean {
    const at = this.#find(table, position);
    if (at < 0 || this.#hashes[at] !== hash || this.#taken[at] === 1) return false;
    this.#taken[at] = 1;
    this.#left -= 1;
    return true;
  }

  #find(table: number, position: number): number {
    let low = this.#firsts[table] as number;
    const end = low + (this.#counts[table] as number);
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#positions[middle] as number) < position) low = middle + 1;
      else high = middle;
    }
    return low < end && this.#positions[low] === position ? low : -1;
  }
}
