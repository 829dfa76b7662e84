/** The numbers of connections that are alive, in total and of each key: an address, a user. */

export class ConnectionCounts {
  readonly #byKey = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(key: string): number {
    return this.#byKey.get(key) ?? 0;
  }

  add(key: string): void {
    this.#total += 1;
    this.#byKey.set(key, this.of(key) + 1);
  }

  remove(key: string): void {
    this.#total -= 1;
    const left = this.of(key) - 1;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}
