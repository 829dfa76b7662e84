/**
 * Longest-prefix match over a fixed set of networks of one family. Networks nest or are disjoint, so
 * together they cut the addresses into runs, each decided by the innermost network around it; finding
 * the run of an address is one binary search in a flat array.
 */

import { NOBODY, PrefixRuns, writeWords } from "./prefix-runs.ts";

import type { NetworkList } from "./prefix-runs.ts";

export class PrefixIndex {
  /** 32-bit words per address: 1 or 4. */
  readonly #width: number;
  /** The first address of each run, ascending, and who decides it. */
  readonly #starts: Uint32Array;
  readonly #owners: Uint32Array;
  readonly #runs: number;
  readonly #wanted: Uint32Array;

  constructor(networks: NetworkList) {
    const runs = new PrefixRuns(networks);
    this.#width = runs.width;
    this.#wanted = new Uint32Array(runs.width);
    this.#starts = runs.starts;
    this.#owners = runs.owners;
    this.#runs = runs.count;
  }

  /** The owner of the longest network that holds this address (4 or 16 bytes); undefined if none. */
  find(bytes: Uint8Array): number | undefined {
    writeWords(bytes, this.#wanted, 0);
    let low = 0;
    let high = this.#runs;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#startsAfterWanted(middle)) high = middle;
      else low = middle + 1;
    }
    const owner = low === 0 ? NOBODY : this.#owners[low - 1];
    return owner === NOBODY ? undefined : owner;
  }

  #startsAfterWanted(run: number): boolean {
    const at = run * this.#width;
    for (let word = 0; word < this.#width; word += 1) {
      const start = this.#starts[at + word] as number;
      const wanted = this.#wanted[word] as number;
      if (start !== wanted) return start > wanted;
    }
    return false;
  }
}
