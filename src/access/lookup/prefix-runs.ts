/**
 * Networks of one family cut the addresses into runs. Networks nest or are disjoint, so each run
 * is decided by the innermost network around it.
 */

import { addressBits } from "../../net/index.ts";

import type { IpPrefix } from "../../net/index.ts";

const NETWORKS_FIRST = 16;

/** The owner of addresses that are in no network. */
export const NOBODY = 0xffff_ffff;

/**
 * Networks of one family, each with the number of the network that decides the addresses in it (below
 * 2^32 - 1), in flat arrays: there may be a million.
 */
export class NetworkList {
  /** 32-bit words per address: 1 or 4. */
  readonly width: number;
  count = 0;
  /** The first address of each network, `width` words each; valid up to `count`, as are the others. */
  firsts: Uint32Array;
  bits = new Uint8Array(NETWORKS_FIRST);
  owners = new Uint32Array(NETWORKS_FIRST);

  constructor(family: 4 | 6) {
    this.width = addressBits(family) / 32;
    this.firsts = new Uint32Array(NETWORKS_FIRST * this.width);
  }

  /**
   * Add a network whose host bits are zero. Of equal networks the first counts; one of NOBODY decides
   * nothing, as if neither it nor those equal to it were there.
   */
  add(prefix: IpPrefix, owner: number): void {
    this.#reserve();
    writeWords(prefix.address.bytes, this.firsts, this.count * this.width);
    this.#end(prefix.bits, owner);
  }

  /** Add an IPv4 network by its first address as a number. */
  addIp4(first: number, bits: number, owner: number): void {
    this.#reserve();
    this.firsts[this.count] = first;
    this.#end(bits, owner);
  }

  #end(bits: number, owner: number): void {
    this.bits[this.count] = bits;
    this.owners[this.count] = owner;
    this.count += 1;
  }

  #reserve(): void {
    if (this.count < this.bits.length) return;
    const { firsts, bits, owners } = this;
    this.firsts = new Uint32Array(firsts.length * 2);
    this.firsts.set(firsts);
    this.bits = new Uint8Array(bits.length * 2);
    this.bits.set(bits);
    this.owners = new Uint32Array(owners.length * 2);
    this.owners.set(owners);
  }
}

/** Walks the networks in order of their first address, outer before inner, and notes the runs. */
export class PrefixRuns {
  /** 32-bit words per address: 1 or 4. */
  readonly width: number;
  /** The first address of each run, ascending, `width` words each. */
  readonly starts: Uint32Array;
  /** The owner of the network that decides each run, or NOBODY. */
  readonly owners: Uint32Array;
  /** The number of runs. No network decides the addresses before the first. */
  count = 0;
  /** For each network the number of the smallest one around it, -1 where there is none. */
  readonly parents: Int32Array;
  readonly #networks: NetworkList;
  /** The first address past each network; a network that ends the address space has none. */
  readonly #ends: Uint32Array;
  readonly #isLast: Uint8Array;

  constructor(networks: NetworkList) {
    const { count, width } = networks;
    this.width = width;
    this.parents = new Int32Array(count).fill(-1);
    this.#networks = networks;
    this.#ends = networks.firsts.slice(0, count * width);
    this.#isLast = new Uint8Array(count);
    this.starts = new Uint32Array(2 * count * width);
    this.owners = new Uint32Array(2 * count);
    for (let at = 0; at < count; at += 1) this.#measure(at);
    this.#cut();
  }

  /** Add the size of a network to its first address. */
  #measure(at: number): void {
    const bits = this.#networks.bits[at] as number;
    const from = at * this.width;
    let word = (bits - 1) >> 5;
    let step = 2 ** (31 - ((bits - 1) & 31));
    for (; word >= 0; word -= 1, step = 1) {
      const sum = (this.#ends[from + word] as number) + step;
      this.#ends[from + word] = sum;
      if (sum < 2 ** 32) return;
    }
    this.#isLast[at] = 1;
  }

  #cut(): void {
    const order = new Uint32Array(this.#networks.count).map((_, at) => at);
    order.sort((a, b) => this.#compare(a, b));
    const open: number[] = [];
    let last: number | undefined;
    for (const next of order) {
      const isRepeated = last !== undefined && this.#compareNetworks(last, next) === 0;
      last = next;
      if (isRepeated || this.#ownerOf(next) === NOBODY) continue;
      this.#closeBefore(open, next);
      this.parents[next] = open.at(-1) ?? -1;
      this.#startRun(this.#networks.firsts, next, this.#ownerOf(next));
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
    return compareWords(this.#ends, open, this.#networks.firsts, next, this.width) <= 0;
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

  /** Equal networks stay in the order in which they were added. */
  #compare(a: number, b: number): number {
    return this.#compareNetworks(a, b) || a - b;
  }

  #compareNetworks(a: number, b: number): number {
    const { firsts, bits } = this.#networks;
    const order = compareWords(firsts, a, firsts, b, this.width);
    return order === 0 ? (bits[a] as number) - (bits[b] as number) : order;
  }

  #ownerOf(at: number | undefined): number {
    return at === undefined ? NOBODY : (this.#networks.owners[at] ?? NOBODY);
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
