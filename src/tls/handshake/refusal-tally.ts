/** Counts refused handshakes, so that a flood of them is one line of the log. */

/** So many sources are told apart; of a flood from more it is enough to know how many refusals there were. */
const SOURCES_MAX = 256;

export class RefusalTally {
  #total = 0;
  readonly #bySource = new Map<string, number>();

  add(source: string): void {
    this.#total += 1;
    const before = this.#bySource.get(source) ?? 0;
    if (before > 0 || this.#bySource.size < SOURCES_MAX) this.#bySource.set(source, before + 1);
  }

  /** The refusals since the last time, for the log; undefined when there were none. */
  take(): string | undefined {
    if (this.#total === 0) return undefined;
    const [source, count] = mostOf(this.#bySource);
    const handshakes = this.#total === 1 ? "1 handshake" : `${this.#total} handshakes`;
    const text = `too many handshakes at a time: refused ${handshakes}, ${count} of ${source}`;
    this.#total = 0;
    this.#bySource.clear();
    return text;
  }
}

function mostOf(counts: ReadonlyMap<string, number>): readonly [source: string, count: number] {
  let most: readonly [string, number] = ["", 0];
  for (const entry of counts) if (entry[1] > most[1]) most = entry;
  return most;
}
