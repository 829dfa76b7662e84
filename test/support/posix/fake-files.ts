/** Files of the fake kernel, and locks on them. */

import type { Fd, FileVersion, Pid } from "../../../src/posix/posix.ts";
import { FakeDescriptors } from "./fake-descriptors.ts";
import { FakeFile } from "./fake-file.ts";
import { blocksForEver, OWN_PID, systemError } from "./fake-kernel.ts";

export class FakeFiles extends FakeDescriptors {
  fileVersion(path: string): FileVersion | string {
    return this.nextFailure("fileVersion") ?? this.files.get(path)?.version ?? "ENOENT";
  }

  readable(path: string): string | undefined {
    return this.nextFailure("readable") ?? (this.files.has(path) ? undefined : "ENOENT");
  }

  mkfifo(path: string, mode: number): void {
    this.mayFail("mkfifo");
    if (this.files.has(path)) throw systemError("EEXIST", "mkfifo");
    const permissions = mode & ~this.mask;
    const fifo = new FakeFile(this.newInode(), new Uint8Array(0), permissions, "fifo");
    this.files.set(path, fifo);
  }

  fsync(fd: Fd): void {
    this.mayFail("fsync");
    this.opened(fd, "fsync");
  }

  flock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean {
    this.mayFail("flock");
    const opened = this.opened(fd, "flock");
    if (opened.file === undefined) throw systemError("EBADF", "flock");
    const { locks } = opened.file;
    if (kind === "unlock") {
      locks.delete(opened);
      return true;
    }
    const others = [...locks].filter(([holder]) => holder !== opened);
    if (others.some(([, held]) => held === "exclusive" || kind === "exclusive")) {
      if (wait) throw blocksForEver("flock", fd);
      return false;
    }
    locks.set(opened, kind);
    return true;
  }

  recordLock(fd: Fd, kind: "shared" | "exclusive" | "unlock", wait: boolean): boolean {
    this.mayFail("recordLock");
    const { file } = this.opened(fd, "fcntl");
    if (file === undefined) throw systemError("EBADF", "fcntl");
    if (kind === "unlock") {
      if (file.recordLock?.pid === OWN_PID) file.recordLock = undefined;
      return true;
    }
    if (this.recordLockOwner(fd, kind) !== undefined) {
      if (wait) throw blocksForEver("recordLock", fd);
      return false;
    }
    file.recordLock = { pid: OWN_PID, kind };
    return true;
  }

  recordLockOwner(fd: Fd, kind: "shared" | "exclusive"): Pid | undefined {
    this.mayFail("recordLockOwner");
    const held = this.opened(fd, "fcntl").file?.recordLock;
    if (held === undefined || held.pid === OWN_PID) return undefined;
    return kind === "exclusive" || held.kind === "exclusive" ? held.pid : undefined;
  }
}
