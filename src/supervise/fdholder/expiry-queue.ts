/**
 * What ends when: a binary heap by time, from which anything can be taken out. Any number of things may have
 * the same time.
 */

/** Something that ends; it is in one queue at most. */
export interface Expiring {
  /** Milliseconds on a monotonic scale. */
  readonly expiresAtMs: number;
  /** The queue's own. */
  queuePlace?: number | undefined;
}

export class ExpiryQueue<T extends Expiring> {
  readonly #heap: T[] = [];

  /** What ends first. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  add(item: T): void {
    this.#heap.push(item);
    this.#place(item, this.#heap.length - 1);
    this.#rise(item);
  }

  /** Take it out; nothing happens when it is not in. */
  remove(item: T): void {
    const { queuePlace } = item;
    if (queuePlace === undefined || this.#heap[queuePlace] !== item) return;
    item.queuePlace = undefined;
    const last = this.#heap.pop();
    if (last === undefined || last === item) return;
    this.#place(last, queuePlace);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(item: T): void {
    for (;;) {
      const at = item.queuePlace ?? 0;
      const parent = this.#heap[(at - 1) >> 1];
      if (at === 0 || parent === undefined || parent.expiresAtMs <= item.expiresAtMs) return;
      this.#swap(parent, item);
    }
  }

  #sink(item: T): void {
    for (;;) {
      const at = item.queuePlace ?? 0;
      const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]];
      const child =
        right !== undefined && left !== undefined && right.expiresAtMs < left.expiresAtMs
          ? right
          : left;
      if (child === undefined || child.expiresAtMs >= item.expiresAtMs) return;
      this.#swap(item, child);
    }
  }

  #swap(a: T, b: T): void {
    const [placeOfA = 0, placeOfB = 0] = [a.queuePlace, b.queuePlace];
    this.#place(a, placeOfB);
    this.#place(b, placeOfA);
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.queuePlace = at;
  }
}
