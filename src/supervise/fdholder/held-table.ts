/**
 * The table of an fd holder: identifiers, the descriptors that they name, their expiry and the quotas
 * (local-services.md, section 9.3). It closes nothing: descriptors that leave it are given to the caller.
 */

import { NS_PER_SECOND, taiAt } from "../../clock/index.ts";
import type { Tai } from "../../clock/index.ts";
import type { Uid } from "../../posix/index.ts";
import { ExpiryQueue } from "./expiry-queue.ts";
import type { Expiring } from "./expiry-queue.ts";

/** An identifier: 1 to 255 bytes without NUL, one character for each (latin1). */
export type HolderId = string;

/** Both clocks at one moment. */
export interface Moment {
  readonly tai: Tai;
  /** Milliseconds of the monotonic clock, which measures the time until an entry expires. */
  readonly monotonicMs: number;
}

/** An entry to come. */
export interface Holding<T> {
  readonly id: HolderId;
  /** The instant at which it expires; one far in the future (HALF_INFINITE_NS) means never. */
  readonly limit: Tai;
  readonly descriptor: T;
  /** The user who has stored it, whom it counts for. */
  readonly owner: Uid;
}

/** An entry of the table. */
export interface HeldEntry<T> extends Holding<T>, Expiring {}

/** Why an entry is not taken, as an errno name. */
export type StoreRefusal = "ENFILE" | "EDQUOT" | "EBUSY";

export interface HeldTableLimits {
  readonly entriesMax: number;
  /** The most entries of one user; `entriesMax` unless given. */
  readonly perOwnerMax?: number | undefined;
}

/** A limit that is further away than this, 2^60 seconds, means never (local-services.md, section 3). */
export const HALF_INFINITE_NS = (1n << 60n) * NS_PER_SECOND;

const NS_PER_MS = 1_000_000;

/** Entries by identifier. `T` is a descriptor, in whatever form its owner keeps it. */
export class HeldTable<T> {
  readonly #limits: HeldTableLimits;
  readonly #byId = new Map<HolderId, HeldEntry<T>>();
  readonly #perOwner = new Map<Uid, number>();
  readonly #expiries = new ExpiryQueue<HeldEntry<T>>();
  /** The limits of the entries, and how many have each. */
  readonly #limitsInUse = new Map<Tai, number>();

  constructor(limits: HeldTableLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** All entries, the oldest first. */
  entries(): IterableIterator<HeldEntry<T>> {
    return this.#byId.values();
  }

  get(id: HolderId): HeldEntry<T> | undefined {
    return this.#byId.get(id);
  }

  /** Is there room for this many more entries, in all? */
  hasRoomFor(count: number): boolean {
    return this.#byId.size + count <= this.#limits.entriesMax;
  }

  /**
   * Take an entry whose identifier is free. Its limit becomes the first from the given one on that no other
   * entry has, as in the C suite, to whose holders a dump may go. Undefined when it has been taken.
   */
  store(holding: Holding<T>, now: Moment): StoreRefusal | undefined {
    if (!this.hasRoomFor(1)) return "ENFILE";
    if (this.#byId.has(holding.id)) return "EBUSY";
    if (this.#isOverQuota(holding.owner)) return "EDQUOT";
    let { limit } = holding;
    while (this.#limitsInUse.has(limit)) limit = taiAt(limit + 1n);
    this.#add({ ...holding, limit }, now);
    return undefined;
  }

  /**
   * Take an entry of a dump, which replaces one of the same identifier and keeps its limit. The descriptor
   * that it has replaced, if any.
   */
  import(
    holding: Holding<T>,
    now: Moment,
  ): { readonly refusal: StoreRefusal } | { readonly replaced: T | undefined } {
    const known = this.#byId.get(holding.id);
    if (known === undefined && !this.hasRoomFor(1)) return { refusal: "ENFILE" };
    if (known?.owner !== holding.owner && this.#isOverQuota(holding.owner)) {
      return { refusal: "EDQUOT" };
    }
    const replaced = this.remove(holding.id);
    this.#add(holding, now);
    return { replaced };
  }

  /** Take an entry out; its descriptor, undefined when there is none. */
  remove(id: HolderId): T | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    this.#expiries.remove(entry);
    count(this.#limitsInUse, entry.limit, -1);
    count(this.#perOwner, entry.owner, -1);
    return entry.descriptor;
  }

  /** Take out everything that has expired by `monotonicMs`; the descriptors. */
  expire(monotonicMs: number): T[] {
    const expired: T[] = [];
    for (let first = this.#expiries.first; first !== undefined; first = this.#expiries.first) {
      if (first.expiresAtMs > monotonicMs) break;
      this.remove(first.id);
      expired.push(first.descriptor);
    }
    return expired;
  }

  /** When the next entry expires, on the monotonic clock; undefined when none will. */
  get nextExpiryMs(): number | undefined {
    return this.#expiries.first?.expiresAtMs;
  }

  #isOverQuota(owner: Uid): boolean {
    const { perOwnerMax = Infinity } = this.#limits;
    return (this.#perOwner.get(owner) ?? 0) >= perOwnerMax;
  }

  /** The time that is left is measured by the monotonic clock from now on: the other may be set. */
  #add(holding: Holding<T>, now: Moment): void {
    const leftNs = holding.limit - now.tai;
    const leftMs = leftNs >= HALF_INFINITE_NS ? Infinity : Number(leftNs) / NS_PER_MS;
    const entry: HeldEntry<T> = { ...holding, expiresAtMs: now.monotonicMs + leftMs };
    this.#byId.set(entry.id, entry);
    count(this.#limitsInUse, entry.limit, 1);
    count(this.#perOwner, entry.owner, 1);
    if (leftMs !== Infinity) this.#expiries.add(entry);
  }
}

function count<Key>(counts: Map<Key, number>, key: Key, change: 1 | -1): void {
  const next = (counts.get(key) ?? 0) + change;
  if (next === 0) counts.delete(key);
  else counts.set(key, next);
}
