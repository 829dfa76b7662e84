/** Files: their versions, what is in directories, and what is done to open ones. */

import { cString, decodeBytes, type CString } from "./bytes.ts";
import type { Fd, Gid, Uid } from "./kernel.ts";

/** The identity of one version of a file: any change of content or a replacement changes it. */
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
  readonly uid: Uid;
}

/** The kind of an entry of a directory; some file systems do not record it. */
export type EntryKind =
  | "file"
  | "directory"
  | "link"
  | "fifo"
  | "socket"
  | "block device"
  | "character device"
  | "unknown";

export interface DirectoryEntry {
  readonly name: string;
  readonly kind: EntryKind;
  readonly inode: number;
}

/**
 * Calls on files. Where a call takes `at`, that is the directory from which a relative path starts;
 * the working directory unless given.
 */
export interface Files {
  /** fstatat(2), following links: the version of a file, or the errno name. */
  fileVersion(path: string, at?: Fd): FileVersion | string;
  /** fstatat(2) of a symbolic link itself, and of anything else. */
  linkVersion(path: string, at?: Fd): FileVersion | string;
  /** fstat(2). */
  openFileVersion(fd: Fd): FileVersion;
  /** faccessat(2) with R_OK, real ids: undefined when readable, else the errno name. */
  readable(path: string, at?: Fd): string | undefined;
  fsync(fd: Fd): void;
  /** ftruncate(2): cut a file, or lengthen it by zeros. */
  truncate(fd: Fd, sizeBytes: number): void;
  /** fchmod(2). */
  setMode(fd: Fd, mode: number): void;
  /** fchown(2); what is absent stays. */
  setOwner(fd: Fd, owner: Owner): void;
  /**
   * The next entries of an open directory, in the order of the file system, without `.` and `..`; none
   * at its end. A call brings as many as 32 KiB hold, so that the largest directory costs no more.
   */
  readDirectory(fd: Fd): readonly DirectoryEntry[];
}

/** The owner that a file is to have. */
export interface Owner {
  readonly uid?: Uid | undefined;
  readonly gid?: Gid | undefined;
}

/** The exports of C for this family (`native/files.c`). */
export interface FilesAddon {
  fileVersion(
    path: CString,
    into: Float64Array,
    noFollow: boolean,
    at?: number,
  ): string | undefined;
  openFileVersion(fd: number, into: Float64Array): void;
  readable(path: CString, at?: number): string | undefined;
  fsync(fd: number): void;
  truncate(fd: number, sizeBytes: number): void;
  setMode(fd: number, mode: number): void;
  setOwner(fd: number, uid: number, gid: number): void;
  readDirectory(fd: number, into: Uint8Array): number;
}

const VERSION_FIELDS = 9;
const DIRECTORY_BYTES = 32_768;

/** The calls of this kernel on files. */
export function nativeFiles(addon: FilesAddon): Files {
  const numbers = new Float64Array(VERSION_FIELDS);
  let room: Uint8Array | undefined;

  function version(path: string, noFollow: boolean, at?: Fd): FileVersion | string {
    return addon.fileVersion(cString(path), numbers, noFollow, at) ?? versionFrom(numbers);
  }

  return {
    fileVersion(path: string, at?: Fd): FileVersion | string {
      return version(path, false, at);
    },

    linkVersion(path: string, at?: Fd): FileVersion | string {
      return version(path, true, at);
    },

    openFileVersion(fd: Fd): FileVersion {
      addon.openFileVersion(fd, numbers);
      return versionFrom(numbers);
    },

    readable(path: string, at?: Fd): string | undefined {
      return addon.readable(cString(path), at);
    },

    fsync(fd: Fd): void {
      addon.fsync(fd);
    },

    truncate(fd: Fd, sizeBytes: number): void {
      addon.truncate(fd, sizeBytes);
    },

    setMode(fd: Fd, mode: number): void {
      addon.setMode(fd, mode);
    },

    setOwner(fd: Fd, { uid = UNCHANGED, gid = UNCHANGED }: Owner): void {
      addon.setOwner(fd, uid, gid);
    },

    readDirectory(fd: Fd): readonly DirectoryEntry[] {
      room ??= new Uint8Array(DIRECTORY_BYTES);
      for (;;) {
        const length = addon.readDirectory(fd, room);
        const entries = entriesFrom(room.subarray(0, length));
        if (length === 0 || entries.length > 0) return entries;
      }
    },
  };
}

/** The id that chown(2) takes for no change. */
export const UNCHANGED = -1;

function versionFrom(numbers: Float64Array): FileVersion {
  const numberOf = (index: number): number => numbers[index] ?? 0;
  return {
    device: numberOf(0),
    inode: numberOf(1),
    sizeBytes: numberOf(2),
    mtimeSeconds: numberOf(3),
    mtimeNanoseconds: numberOf(4),
    ctimeSeconds: numberOf(5),
    ctimeNanoseconds: numberOf(6),
    mode: numberOf(7),
    uid: numberOf(8),
  };
}

/** The fields of struct linux_dirent64 (getdents64(2)): inode, offset, length, type, name. */
const ENTRY = { inode: 0, length: 16, type: 18, name: 19 } as const;

/** The DT_ constants. */
const KINDS: ReadonlyMap<number, EntryKind> = new Map([
  [1, "fifo"],
  [2, "character device"],
  [4, "directory"],
  [6, "block device"],
  [8, "file"],
  [10, "link"],
  [12, "socket"],
]);

function entriesFrom(records: Uint8Array): DirectoryEntry[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < records.length;) {
    const length = view.getUint16(at + ENTRY.length, IS_LITTLE_ENDIAN);
    const start = at + ENTRY.name;
    const name = decodeBytes(records.subarray(start, records.indexOf(0, start)));
    if (name !== "." && name !== "..") {
      const kind = KINDS.get(view.getUint8(at + ENTRY.type)) ?? "unknown";
      const inode = Number(view.getBigUint64(at + ENTRY.inode, IS_LITTLE_ENDIAN));
      entries.push({ name, kind, inode });
    }
    at += length;
  }
  return entries;
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
