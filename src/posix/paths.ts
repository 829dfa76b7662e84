/** Entries of directories: making, renaming, linking and removing them. */

import { cString, decodeBytes, type CString } from "./bytes.ts";
import { UNCHANGED, type Owner } from "./files.ts";
import type { Fd } from "./kernel.ts";

/**
 * Calls on the entries of directories. Where a call takes `at`, that is the directory from which a
 * relative path starts; the working directory unless given.
 */
export interface Paths {
  mkfifo(path: string, mode: number, at?: Fd): void;
  mkdir(path: string, mode: number, at?: Fd): void;
  symlink(target: string, path: string, at?: Fd): void;
  /** The target of a symbolic link, 4095 bytes at most. */
  readlink(path: string, at?: Fd): string;
  /** linkat(2): another name for a file; of a symbolic link, for the link itself. */
  link(from: string, to: string, fromAt?: Fd, toAt?: Fd): void;
  /** renameat(2): what had the name is replaced at once. */
  rename(from: string, to: string, fromAt?: Fd, toAt?: Fd): void;
  unlink(path: string, at?: Fd): void;
  rmdir(path: string, at?: Fd): void;
  /** fchmodat(2), which follows links. */
  chmod(path: string, mode: number, at?: Fd): void;
  /** fchownat(2); what is absent stays. Of a symbolic link, the link itself. */
  chown(path: string, owner: Owner, at?: Fd): void;
}

/** The exports of C for this family (`native/paths.c`). */
export interface PathsAddon {
  mkfifo(path: CString, mode: number, at?: number): void;
  mkdir(path: CString, mode: number, at?: number): void;
  symlink(target: CString, path: CString, at?: number): void;
  readlink(path: CString, at?: number): Uint8Array;
  link(from: CString, to: CString, fromAt?: number, toAt?: number): void;
  rename(from: CString, to: CString, fromAt?: number, toAt?: number): void;
  unlink(path: CString, at?: number): void;
  rmdir(path: CString, at?: number): void;
  chmod(path: CString, mode: number, at?: number): void;
  chown(path: CString, uid: number, gid: number, at?: number): void;
}

/** The calls of this kernel on entries of directories. */
export function nativePaths(addon: PathsAddon): Paths {
  return {
    mkfifo(path: string, mode: number, at?: Fd): void {
      addon.mkfifo(cString(path), mode, at);
    },

    mkdir(path: string, mode: number, at?: Fd): void {
      addon.mkdir(cString(path), mode, at);
    },

    symlink(target: string, path: string, at?: Fd): void {
      addon.symlink(cString(target), cString(path), at);
    },

    readlink(path: string, at?: Fd): string {
      return decodeBytes(addon.readlink(cString(path), at));
    },

    link(from: string, to: string, fromAt?: Fd, toAt?: Fd): void {
      addon.link(cString(from), cString(to), fromAt, toAt);
    },

    rename(from: string, to: string, fromAt?: Fd, toAt?: Fd): void {
      addon.rename(cString(from), cString(to), fromAt, toAt);
    },

    unlink(path: string, at?: Fd): void {
      addon.unlink(cString(path), at);
    },

    rmdir(path: string, at?: Fd): void {
      addon.rmdir(cString(path), at);
    },

    chmod(path: string, mode: number, at?: Fd): void {
      addon.chmod(cString(path), mode, at);
    },

    chown(path: string, { uid = UNCHANGED, gid = UNCHANGED }: Owner, at?: Fd): void {
      addon.chown(cString(path), uid, gid, at);
    },
  };
}
