/** Locks on open files. */

import type { Fd, Pid } from "./kernel.ts";

export type LockKind = "shared" | "exclusive";

/**
 * Calls on locks. All of them belong to open file descriptions: whoever has a copy of the descriptor,
 * a child for instance, holds the lock too, it ends when the last copy is closed, and two descriptions
 * of one file exclude each other within one process as well.
 */
export interface Locks {
  /** flock(2). False when held elsewhere and `wait` is false. */
  flock(fd: Fd, kind: LockKind | "unlock", wait: boolean): boolean;
  /**
   * A record lock over the whole file (F_OFD_SETLK, and F_OFD_SETLKW to wait, which blocks the whole
   * process): it excludes those of fcntl(2)'s F_SETLK in other processes, and is excluded by them. False
   * when held elsewhere and `wait` is false.
   */
  recordLock(fd: Fd, kind: LockKind | "unlock", wait: boolean): boolean;
  /** F_OFD_GETLK: who holds a lock that conflicts with one of `kind`, were it asked for by this `fd`. */
  recordLockOwner(fd: Fd, kind: LockKind): LockOwner | undefined;
}

/** The process that holds a lock of F_SETLK, or `description` for one that an open file holds. */
export type LockOwner = Pid | "description";

/** The exports of C for this family (`native/locks.c`). */
export interface LocksAddon {
  flock(fd: number, kind: number, wait: boolean): boolean;
  recordLock(fd: number, kind: number, wait: boolean): boolean;
  recordLockOwner(fd: number, kind: number): number;
}

const LOCK = { shared: 0, exclusive: 1, unlock: 2 } as const;

/** The calls of this kernel on locks. */
export function nativeLocks(addon: LocksAddon): Locks {
  return {
    flock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
      return addon.flock(fd, LOCK[kind], wait);
    },

    recordLock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
      return addon.recordLock(fd, LOCK[kind], wait);
    },

    recordLockOwner(fd: Fd, kind: LockKind): LockOwner | undefined {
      const pid = addon.recordLockOwner(fd, LOCK[kind]);
      if (pid === 0) return undefined;
      return pid < 0 ? "description" : (pid as Pid);
    },
  };
}
