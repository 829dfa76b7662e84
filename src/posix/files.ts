/** Files by path, and locks on open ones. */

import { cString, type CString } from "./bytes.ts";
import type { Fd, Pid } from "./kernel.ts";

/** What identifies one version of a file: any change of content or a replacement changes it. */
export interface FileVersion {
  readonly device: number;
  readonly inode: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  /** The S_IF bits and the permission bits. */
  readonly mode: number;
}

/** Calls on files. */
export interface Files {
  /** fstat-like facts of a path, following links; the errno name when stat(2) fails. */
  fileVersion(path: string): FileVersion | string;
  /** access(2) with R_OK, real ids: undefined when readable, else the errno name. */
  readable(path: string): string | undefined;
  mkfifo(path: string, mode: number): void;
  fsync(fd: Fd): void;
  /** flock(2). False when held elsewhere and `wait` is false. */
  flock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean;
  /** fcntl(2) record lock over the whole file. False when held elsewhere and `wait` is false. */
  recordLock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean;
  /** F_GETLK: the pid of another process that holds a lock conflicting with `kind`. */
  recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined;
}

/** What C exports for this family (`native/`). */
export interface FilesAddon {
  fileVersion(path: CString, into: Float64Array): string | undefined;
  readable(path: CString): string | undefined;
  mkfifo(path: CString, mode: number): void;
  fsync(fd: number): void;
  flock(fd: number, kind: number, wait: boolean): boolean;
  recordLock(fd: number, kind: number, wait: boolean): boolean;
  recordLockOwner(fd: number, kind: number): number;
}

const LOCK = { shared: 0, exclusive: 1, unlock: 2 } as const;

/** The calls of this kernel on files. */
export function nativeFiles(addon: FilesAddon): Files {
  const numbers = new Float64Array(8);
  const numberOf = (index: number): number => numbers[index] ?? 0;
  return {
    fileVersion(path: string): FileVersion | string {
      const failure = addon.fileVersion(cString(path), numbers);
      if (failure !== undefined) return failure;
      return {
        device: numberOf(0),
        inode: numberOf(1),
        sizeBytes: numberOf(2),
        mtimeSeconds: numberOf(3),
        mtimeNanoseconds: numberOf(4),
        ctimeSeconds: numberOf(5),
        ctimeNanoseconds: numberOf(6),
        mode: numberOf(7),
      };
    },

    readable(path: string): string | undefined {
      return addon.readable(cString(path));
    },

    mkfifo(path: string, mode: number): void {
      addon.mkfifo(cString(path), mode);
    },

    fsync(fd: Fd): void {
      addon.fsync(fd);
    },

    flock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
      return addon.flock(fd, LOCK[kind], wait);
    },

    recordLock(fd: Fd, kind: keyof typeof LOCK, wait: boolean): boolean {
      return addon.recordLock(fd, LOCK[kind], wait);
    },

    recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined {
      const pid = addon.recordLockOwner(fd, LOCK[kind]);
      return pid === 0 ? undefined : (pid as Pid);
    },
  };
}
