/** The identity and the limits of this process: all its threads alike. */

import { cString, type CString } from "./bytes.ts";
import type { Fd, Gid, Uid } from "./kernel.ts";
import { resourceNumber } from "./native-plan.ts";

/** The user, group and supplementary groups of a process; an absent part is left as it is. */
export interface Identity {
  readonly uid?: Uid;
  readonly gid?: Gid;
  readonly groups?: readonly Gid[];
}

/** The resources of setrlimit(2), by the kernel's names. */
export type Resource =
  | "as"
  | "core"
  | "cpu"
  | "data"
  | "fsize"
  | "memlock"
  | "nofile"
  | "nproc"
  | "rss"
  | "rtprio"
  | "stack";

/** A soft and a hard limit in the resource's own unit; Infinity is RLIM_INFINITY. */
export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** Calls on the identity, the limits and other attributes of this process. */
export interface Attributes {
  getuid(): Uid;
  getgid(): Gid;
  geteuid(): Uid;
  getegid(): Gid;
  setgroups(gids: readonly Gid[]): void;
  setgid(gid: Gid): void;
  setuid(uid: Uid): void;
  getrlimit(resource: Resource): Limit;
  setrlimit(resource: Resource, limit: Limit): void;
  /** umask(2): set it and return the one before. */
  umask(mask: number): number;
  chdir(directory: string): void;
  /** fchdir(2): to the directory that is open as `fd`, whatever it is called by now. */
  chdirTo(fd: Fd): void;
}

/** The exports of C for this family (`native/`). */
export interface AttributesAddon {
  getuid(): number;
  getgid(): number;
  geteuid(): number;
  getegid(): number;
  setgroups(gids: Float64Array): void;
  setgid(gid: number): void;
  setuid(uid: number): void;
  getrlimit(resource: number, into: Float64Array): void;
  setrlimit(resource: number, soft: number, hard: number): void;
  umask(mask: number): number;
  chdir(directory: CString): void;
  chdirTo(fd: number): void;
}

/**
 * The calls of this kernel on the attributes of this process. `directoryChanged` is told of each
 * change of the working directory, which Node remembers.
 */
export function nativeAttributes(addon: AttributesAddon, directoryChanged: () => void): Attributes {
  const numbers = new Float64Array(2);
  return {
    getuid(): Uid {
      return addon.getuid();
    },

    getgid(): Gid {
      return addon.getgid();
    },

    geteuid(): Uid {
      return addon.geteuid();
    },

    getegid(): Gid {
      return addon.getegid();
    },

    setgroups(gids: readonly Gid[]): void {
      addon.setgroups(new Float64Array(gids));
    },

    setgid(gid: Gid): void {
      addon.setgid(gid);
    },

    setuid(uid: Uid): void {
      addon.setuid(uid);
    },

    getrlimit(resource: Resource): Limit {
      addon.getrlimit(resourceNumber(resource), numbers);
      return { soft: numbers[0] ?? 0, hard: numbers[1] ?? 0 };
    },

    setrlimit(resource: Resource, limit: Limit): void {
      addon.setrlimit(resourceNumber(resource), limit.soft, limit.hard);
    },

    umask(mask: number): number {
      return addon.umask(mask);
    },

    chdir(directory: string): void {
      addon.chdir(cString(directory));
      directoryChanged();
    },

    chdirTo(fd: Fd): void {
      addon.chdirTo(fd);
      directoryChanged();
    },
  };
}
