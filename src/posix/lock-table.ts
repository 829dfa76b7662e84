/**
 * The record locks that one process holds for all who live in it. Locks of open files exclude each other
 * within a process too, and the kernel says of such a one only that an open file has it: the table tells
 * which of ours. It never waits, for a thread that waits in the kernel for a lock of the same process waits
 * for ever.
 */

import type { Fd } from "./kernel.ts";
import type { LockKind, LockOwner } from "./locks.ts";
import type { Posix } from "./posix.ts";

/** The calls that the table takes. */
export type LockingPosix = Pick<Posix, "recordLock" | "recordLockOwner" | "openFileVersion">;

/** A lock that is held until it is released or its descriptor and all copies are closed. */
export interface HeldLock {
  /** Give it up, and its place in the table; to be called before the descriptor is closed. */
  release(): void;
}

/** The outcome of a request for a lock. */
export type LockOutcome =
  | { readonly kind: "taken"; readonly lock: HeldLock }
  /** One of ours is in the way, by the name under which it took its lock. */
  | { readonly kind: "heldHere"; readonly holder: string }
  /** Somebody else's is. The owner is undefined where it has been given up since. */
  | { readonly kind: "heldElsewhere"; readonly owner: LockOwner | undefined };

interface Entry {
  readonly holder: string;
  readonly kind: LockKind;
}

export class LockTable {
  readonly #posix: LockingPosix;
  /** By device and inode, as a file may have several names. */
  readonly #entries = new Map<string, Set<Entry>>();

  constructor(posix: LockingPosix) {
    this.#posix = posix;
  }

  /** Take a lock on an open file for `holder`, if that can be done at once. Throws SystemError. */
  take(fd: Fd, kind: LockKind, holder: string): LockOutcome {
    const key = this.#keyOf(fd);
    const entries = this.#entries.get(key) ?? new Set<Entry>();
    const inTheWay = [...entries].find((entry) => excludes(entry.kind, kind));
    if (inTheWay !== undefined) return { kind: "heldHere", holder: inTheWay.holder };
    if (!this.#posix.recordLock(fd, kind, false)) {
      return { kind: "heldElsewhere", owner: this.#posix.recordLockOwner(fd, kind) };
    }
    const entry = { holder, kind };
    this.#entries.set(key, entries.add(entry));
    return { kind: "taken", lock: { release: () => this.#release(fd, key, entry) } };
  }

  /** The number of locks that are held. */
  get size(): number {
    return [...this.#entries.values()].reduce((sum, entries) => sum + entries.size, 0);
  }

  #release(fd: Fd, key: string, entry: Entry): void {
    const entries = this.#entries.get(key);
    if (entries?.delete(entry) !== true) return;
    if (entries.size === 0) this.#entries.delete(key);
    this.#posix.recordLock(fd, "unlock", false);
  }

  #keyOf(fd: Fd): string {
    const { device, inode } = this.#posix.openFileVersion(fd);
    return `${device} ${inode}`;
  }
}

function excludes(held: LockKind, wanted: LockKind): boolean {
  return held === "exclusive" || wanted === "exclusive";
}
