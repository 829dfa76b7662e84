/**
 * How networks of one family cut the addresses into runs. Networks nest or are disjoint, so each run
 * is decided by the innermost network around it.
 */

import { addressBits } from "../net/index.ts";

import type { IpPrefix } from "../net/index.ts";

/** A network, and the number of whoever decides the addresses in it (below 2^32 - 1). */
export interface OwnedPrefix {
  readonly prefix: IpPrefix;
  readonly owner: number;
}

/** The owner of a run that is in no network. */
export const NOBODY = 0xffff_ffff;

/** Walks the networks in order of their first address, outer before inner, and notes the runs. */
export class PrefixRuns {
  /** 32-bit words per address: 1 or 4. */
  readonly width: number;
  /** The first address of each run, ascending, `width` words each. */
  readonly starts: Uint32Array;
  /** Who decides each run: the owner of a network, or NOBODY. */
  readonly owners: Uint32Array;
  /** How many runs there are. Addresses before the first are decided by nobody. */
  count = 0;
  /** For each network the number of the smallest one around it, -1 where there is none. */
  readonly parents: Int32Array;
  readonly #prefixes: readonly OwnedPrefix[];
  readonly #firsts: Uint32Array;
  /** The first address past each network; a network that ends the address space has none. */
  readonly #ends: Uint32Array;
  readonly #isLast: Uint8Array;

  /** The networks are all of `family`, each at most once, their host bits zero. */
  constructor(family: 4 | 6, prefixes: readonly OwnedPrefix[]) {
    const count = prefixes.length;
    const width = addressBits(family) / 32;
    this.width = width;
    this.parents = new Int32Array(count).fill(-1);
    this.#prefixes = prefixes;
    this.#firsts = new Uint32Array(count * width);
    this.#ends = new Uint32Array(count * width);
    this.#isLast = new Uint8Array(count);
    this.starts = new Uint32Array(2 * count * width);
    this.owners = new Uint32Array(2 * count);
    for (let at = 0; at < count; at += 1) this.#measure(at);
    this.#cut();
  }

  #measure(at: number): void {
    const prefix = this.#prefixAt(at);
    const from = at * this.width;
    writeWords(prefix.address.bytes, this.#firsts, from);
    this.#ends.set(this.#firsts.subarray(from, from + this.width), from);
    if (prefix.bits === 0) {
      this.#isLast[at] = 1;
      return;
    }
    let word = (prefix.bits - 1) >>> 5;
    let step = 2 ** (31 - ((prefix.bits - 1) & 31));
    for (; word >= 0; word -= 1, step = 1) {
      const sum = (this.#ends[from + word] as number) + step;
      this.#ends[from + word] = sum;
      if (sum < 2 ** 32) return;
    }
    this.#isLast[at] = 1;
  }

  #cut(): void {
    const order = Uint32Array.from(this.#prefixes.keys()).sort((a, b) => this.#compare(a, b));
    const open: number[] = [];
    for (const next of order) {
      this.#closeBefore(open, next);
      this.parents[next] = open.at(-1) ?? -1;
      this.#startRun(this.#firsts, next, this.#ownerOf(next));
      open.push(next);
    }
    this.#closeBefore(open, undefined);
  }

  /** End the open networks that do not hold `next`; all of them where there is none. */
  #closeBefore(open: number[], next: number | undefined): void {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (next !== undefined && !this.#endsBefore(top, next)) return;
      open.pop();
      if (this.#isLast[top] === 0) this.#startRun(this.#ends, top, this.#ownerOf(open.at(-1)));
    }
  }

  #endsBefore(open: number, next: number): boolean {
    if (this.#isLast[open] === 1) return false;
    return compareWords(this.#ends, open, this.#firsts, next, this.width) <= 0;
  }

  /** A run begins at address `from` of `addresses`; one that began there before is replaced. */
  #startRun(addresses: Uint32Array, from: number, owner: number): void {
    const isSame =
      this.count > 0 &&
      compareWords(this.starts, this.count - 1, addresses, from, this.width) === 0;
    if (isSame) this.count -= 1;
    const words = addresses.subarray(from * this.width, (from + 1) * this.width);
    this.starts.set(words, this.count * this.width);
    this.owners[this.count] = owner;
    this.count += 1;
  }

  #compare(a: number, b: number): number {
    const order = compareWords(this.#firsts, a, this.#firsts, b, this.width);
    return order === 0 ? this.#prefixAt(a).bits - this.#prefixAt(b).bits : order;
  }

  #ownerOf(at: number | undefined): number {
    return at === undefined ? NOBODY : (this.#prefixes[at]?.owner ?? NOBODY);
  }

  #prefixAt(at: number): IpPrefix {
    const owned = this.#prefixes[at];
    if (owned === undefined) throw new RangeError(`No prefix number ${at}`);
    return owned.prefix;
  }
}

/** Write an address as 32-bit words, the most significant first. */
export function writeWords(bytes: Uint8Array, words: Uint32Array, at: number): void {
  for (let byte = 0; byte < bytes.length; byte += 4) {
    words[at + (byte >>> 2)] =
      ((bytes[byte] as number) << 24) |
      ((bytes[byte + 1] as number) << 16) |
      ((bytes[byte + 2] as number) << 8) |
      (bytes[byte + 3] as number);
  }
}

/** Compare address number `a` of one array with address number `b` of another. */
function compareWords(
  left: Uint32Array,
  a: number,
  right: Uint32Array,
  b: number,
  width: number,
): number {
  for (let word = 0; word < width; word += 1) {
    const difference = (left[a * width + word] as number) - (right[b * width + word] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
