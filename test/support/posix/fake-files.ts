/** Files of the fake kernel, entries of its directories, and locks. */

import { decodeBytes, encodeBytes } from "../../../src/posix/bytes.ts";
import type {
  DirectoryEntry,
  Fd,
  FileVersion,
  LockKind,
  LockOwner,
  Owner,
} from "../../../src/posix/posix.ts";
import { FakeDescriptors } from "./fake-descriptors.ts";
import type { FakeFile, OpenFile } from "./fake-file.ts";
import { blocksForEver, systemError } from "./fake-kernel.ts";

const NOTHING = new Uint8Array(0);

export class FakeFiles extends FakeDescriptors {
  // --- facts about files, and what is done to open ones ---------------------------------------------

  fileVersion(path: string, at?: Fd): FileVersion | string {
    return this.nextFailure("fileVersion") ?? this.#versionOf(path, at, true);
  }

  linkVersion(path: string, at?: Fd): FileVersion | string {
    return this.nextFailure("linkVersion") ?? this.#versionOf(path, at, false);
  }

  openFileVersion(fd: Fd): FileVersion {
    this.mayFail("openFileVersion");
    return this.#fileOf(fd, "fstat").version;
  }

  readable(path: string, at?: Fd): string | undefined {
    const version = this.nextFailure("readable") ?? this.#versionOf(path, at, true);
    return typeof version === "string" ? version : undefined;
  }

  fsync(fd: Fd): void {
    this.mayFail("fsync");
    this.opened(fd, "fsync");
  }

  truncate(fd: Fd, sizeBytes: number): void {
    this.mayFail("truncate");
    const file = this.#fileOf(fd, "ftruncate");
    const content = new Uint8Array(sizeBytes);
    content.set(file.content.subarray(0, sizeBytes));
    file.change(content);
  }

  setMode(fd: Fd, mode: number): void {
    this.mayFail("setMode");
    this.#fileOf(fd, "fchmod").setPermissions(mode);
  }

  setOwner(fd: Fd, owner: Owner): void {
    this.mayFail("setOwner");
    own(this.#fileOf(fd, "fchown"), owner);
  }

  readDirectory(fd: Fd): readonly DirectoryEntry[] {
    this.mayFail("readDirectory");
    const opened = this.opened(fd, "getdents64");
    const { file, isPathOnly } = opened;
    if (isPathOnly) throw systemError("EBADF", "getdents64");
    if (file?.kind !== "directory") throw systemError("ENOTDIR", "getdents64");
    if (opened.offset++ > 0) return [];
    const path = this.tree.pathOf(file);
    return this.tree.names(file).flatMap((name) => {
      const entry = this.files.get(this.tree.resolve(`${path}/${name}`, undefined, false));
      return entry === undefined ? [] : [{ name, kind: entry.kind, inode: entry.inode }];
    });
  }

  // --- entries of directories -----------------------------------------------------------------------

  mkfifo(path: string, mode: number, at?: Fd): void {
    this.mayFail("mkfifo");
    this.tree.put(this.freePath(path, at, "mkfifo"), "fifo", NOTHING, mode & ~this.mask);
  }

  mkdir(path: string, mode: number, at?: Fd): void {
    this.mayFail("mkdir");
    this.tree.putDirectory(this.freePath(path, at, "mkdir"), mode & ~this.mask);
  }

  symlink(target: string, path: string, at?: Fd): void {
    this.mayFail("symlink");
    this.tree.put(this.freePath(path, at, "symlink"), "link", encodeBytes(target), 0o777);
  }

  readlink(path: string, at?: Fd): string {
    this.mayFail("readlink");
    const file = this.#entry(this.resolve(path, at, false, "readlink"), "readlink");
    if (file.kind !== "link") throw systemError("EINVAL", "readlink");
    return decodeBytes(file.content);
  }

  link(from: string, to: string, fromAt?: Fd, toAt?: Fd): void {
    this.mayFail("link");
    const file = this.#entry(this.resolve(from, fromAt, false, "link"), "link");
    if (file.kind === "directory") throw systemError("EPERM", "link");
    this.files.set(this.freePath(to, toAt, "link"), file);
  }

  rename(from: string, to: string, fromAt?: Fd, toAt?: Fd): void {
    this.mayFail("rename");
    const source = this.resolve(from, fromAt, false, "rename");
    const target = this.resolve(to, toAt, false, "rename");
    const file = this.#entry(source, "rename");
    const replaced = this.files.get(target);
    if (replaced === file) return;
    if (replaced !== undefined) this.#mayReplace(replaced, file);
    this.tree.move(source, target);
  }

  unlink(path: string, at?: Fd): void {
    this.mayFail("unlink");
    const resolved = this.resolve(path, at, false, "unlink");
    if (this.#entry(resolved, "unlink").kind === "directory") throw systemError("EISDIR", "unlink");
    this.files.delete(resolved);
  }

  rmdir(path: string, at?: Fd): void {
    this.mayFail("rmdir");
    const resolved = this.resolve(path, at, false, "rmdir");
    const file = this.#entry(resolved, "rmdir");
    if (file.kind !== "directory") throw systemError("ENOTDIR", "rmdir");
    if (this.tree.names(file).length > 0) throw systemError("ENOTEMPTY", "rmdir");
    this.files.delete(resolved);
  }

  chmod(path: string, mode: number, at?: Fd): void {
    this.mayFail("chmod");
    this.#entry(this.resolve(path, at, true, "chmod"), "chmod").setPermissions(mode);
  }

  chown(path: string, owner: Owner, at?: Fd): void {
    this.mayFail("chown");
    own(this.#entry(this.resolve(path, at, false, "chown"), "chown"), owner);
  }

  // --- locks ----------------------------------------------------------------------------------------

  flock(fd: Fd, kind: LockKind | "unlock", wait: boolean): boolean {
    this.mayFail("flock");
    return this.#lock(fd, kind, wait, "flock", ({ locks }) => locks);
  }

  recordLock(fd: Fd, kind: LockKind | "unlock", wait: boolean): boolean {
    this.mayFail("recordLock");
    return this.#lock(fd, kind, wait, "recordLock", ({ recordLocks }) => recordLocks);
  }

  recordLockOwner(fd: Fd, kind: LockKind): LockOwner | undefined {
    this.mayFail("recordLockOwner");
    const file = this.#fileOf(fd, "fcntl");
    const { foreignLock } = file;
    if (foreignLock !== undefined && excludes(foreignLock.kind, kind)) return foreignLock.owner;
    return isHeldElsewhere(file.recordLocks, this.opened(fd, "fcntl"), kind)
      ? "description"
      : undefined;
  }

  #lock(
    fd: Fd,
    kind: LockKind | "unlock",
    wait: boolean,
    call: "flock" | "recordLock",
    locksOf: (file: FakeFile) => Map<OpenFile, LockKind>,
  ): boolean {
    const opened = this.opened(fd, call);
    const file = this.#fileOf(fd, call);
    const locks = locksOf(file);
    if (kind === "unlock") {
      locks.delete(opened);
      return true;
    }
    const isWritten = opened.mode !== "read";
    if (call === "recordLock" && !(kind === "shared" ? opened.mode !== "write" : isWritten)) {
      throw systemError("EBADF", "fcntl");
    }
    const foreign = call === "recordLock" ? file.foreignLock : undefined;
    const isForeign = foreign !== undefined && excludes(foreign.kind, kind);
    if (isForeign || isHeldElsewhere(locks, opened, kind)) {
      if (wait) throw blocksForEver(call, fd);
      return false;
    }
    locks.set(opened, kind);
    return true;
  }

  // --- what several calls have in common -----------------------------------------------------------

  #versionOf(path: string, at: Fd | undefined, followsLast: boolean): FileVersion | string {
    try {
      return this.#entry(this.resolve(path, at, followsLast, "stat"), "stat").version;
    } catch (error) {
      if (error instanceof Error && "code" in error) return String(error.code);
      throw error;
    }
  }

  #entry(resolved: string, call: string): FakeFile {
    const file = this.tree.at(resolved);
    if (file === undefined) throw systemError("ENOENT", call);
    return file;
  }

  #fileOf(fd: Fd, call: string): FakeFile {
    const { file } = this.opened(fd, call);
    if (file === undefined) throw systemError("EBADF", call);
    return file;
  }

  #mayReplace(replaced: FakeFile, by: FakeFile): void {
    const isDirectory = replaced.kind === "directory";
    if (isDirectory && by.kind !== "directory") throw systemError("EISDIR", "rename");
    if (!isDirectory && by.kind === "directory") throw systemError("ENOTDIR", "rename");
    if (isDirectory && this.tree.names(replaced).length > 0) {
      throw systemError("ENOTEMPTY", "rename");
    }
  }
}

function own(file: FakeFile, { uid = file.uid, gid = file.gid }: Owner): void {
  file.uid = uid;
  file.gid = gid;
}

function excludes(held: LockKind, wanted: LockKind): boolean {
  return held === "exclusive" || wanted === "exclusive";
}

function isHeldElsewhere(
  locks: ReadonlyMap<OpenFile, LockKind>,
  opened: OpenFile,
  wanted: LockKind,
): boolean {
  return [...locks].some(([holder, held]) => holder !== opened && excludes(held, wanted));
}
