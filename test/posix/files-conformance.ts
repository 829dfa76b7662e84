/** The behaviour of files, directories and locks that callers may rely on, whichever kernel they use. */
import { describe, expect, test } from "vitest";

import type { DirectoryEntry, Fd, FileVersion, Posix } from "../../src/posix/posix.ts";
import { codeOf } from "./program.ts";

const BYTES = Buffer.from("0123456789");

function put(posix: Posix, name: string, at: Fd): void {
  const fd = posix.open(name, "write", { create: 0o644, truncate: true, at });
  posix.write(fd, BYTES);
  posix.close(fd);
}

function entriesOf(posix: Posix, fd: Fd): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const more = posix.readDirectory(fd);
    if (more.length === 0) return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    entries.push(...more);
  }
}

/** `folder` is where files may be made; it ends without a slash. */
export function filesConformance(kernel: string, posix: Posix, folder: string): void {
  let made = 0;

  /** A new directory, open. */
  function newDirectory(): { readonly path: string; readonly fd: Fd } {
    const path = `${folder}/directory${++made}`;
    posix.mkdir(path, 0o755);
    return { path, fd: posix.open(path, "read", { directory: true }) };
  }

  describe(`directories of the ${kernel} kernel`, () => {
    test("entries of every kind are made from the descriptor of a directory", () => {
      const { path, fd } = newDirectory();
      put(posix, "file", fd);
      posix.mkfifo("fifo", 0o600, fd);
      posix.mkdir("sub", 0o700, fd);
      posix.symlink("file", "link", fd);
      expect(entriesOf(posix, fd).map(({ name, kind }) => [name, kind])).toEqual([
        ["fifo", "fifo"],
        ["file", "file"],
        ["link", "link"],
        ["sub", "directory"],
      ]);
      expect(posix.fileVersion(`${path}/fifo`)).toMatchObject({ mode: 0o010600 });
      expect(posix.fileVersion("sub", fd)).toMatchObject({ mode: 0o040700 });
      expect(posix.readlink("link", fd)).toBe("file");
      posix.close(fd);
    });

    test("an open directory stays the same directory whatever its name", () => {
      const { path, fd } = newDirectory();
      posix.rename(path, `${path}.moved`);
      put(posix, "file", fd);
      expect(posix.fileVersion(path)).toBe("ENOENT");
      expect(posix.fileVersion(`${path}.moved/file`)).toEqual(posix.fileVersion("file", fd));
      expect(posix.readable("file", fd)).toBeUndefined();
      posix.close(fd);
    });

    test("creating over a name that is taken is EEXIST, and opening an absent one ENOENT", () => {
      const { fd } = newDirectory();
      put(posix, "taken", fd);
      const makers: (() => void)[] = [
        () => posix.mkfifo("taken", 0o600, fd),
        () => posix.mkdir("taken", 0o700, fd),
        () => posix.symlink("x", "taken", fd),
        () => posix.link("taken", "taken", fd, fd),
        () => posix.open("taken", "write", { create: 0o600, exclusive: true, at: fd }),
      ];
      expect(makers.map(codeOf)).toEqual(makers.map(() => "EEXIST"));
      const seekers: (() => void)[] = [
        () => posix.mkdir("absent/sub", 0o700, fd),
        () => posix.readlink("absent", fd),
        () => posix.link("absent", "other", fd, fd),
        () => posix.rename("absent", "other", fd, fd),
        () => posix.unlink("absent", fd),
        () => posix.rmdir("absent", fd),
        () => posix.chmod("absent", 0o600, fd),
        () => posix.chown("absent", {}, fd),
        () => posix.open("absent", "read", { at: fd }),
      ];
      expect(seekers.map(codeOf)).toEqual(seekers.map(() => "ENOENT"));
      expect(posix.fileVersion("taken/below", fd)).toBe("ENOTDIR");
      expect(codeOf(() => posix.readlink("taken", fd))).toBe("EINVAL");
      posix.close(fd);
    });

    test("a descriptor that is no directory is ENOTDIR for calls relative to it", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "read", { at: fd });
      expect(codeOf(() => posix.mkdir("sub", 0o700, file))).toBe("ENOTDIR");
      expect(codeOf(() => posix.readDirectory(file))).toBe("ENOTDIR");
      expect(codeOf(() => posix.open("file", "read", { directory: true, at: fd }))).toBe("ENOTDIR");
      for (const open of [file, fd]) posix.close(open);
    });

    test("a rename replaces a file at once, and directories only by empty ones", () => {
      const { fd } = newDirectory();
      put(posix, "old", fd);
      put(posix, "new", fd);
      const version = posix.fileVersion("new", fd);
      posix.rename("new", "old", fd, fd);
      const renamed = posix.fileVersion("old", fd);
      expect([inodeOf(renamed), posix.fileVersion("new", fd)]).toEqual([
        inodeOf(version),
        "ENOENT",
      ]);
      posix.mkdir("full", 0o700, fd);
      posix.mkdir("full/sub", 0o700, fd);
      posix.mkdir("empty", 0o700, fd);
      expect(codeOf(() => posix.rename("old", "full", fd, fd))).toBe("EISDIR");
      expect(codeOf(() => posix.rename("full", "old", fd, fd))).toBe("ENOTDIR");
      expect(codeOf(() => posix.rename("empty", "full", fd, fd))).toBe("ENOTEMPTY");
      posix.rename("full", "empty", fd, fd);
      expect(posix.fileVersion("empty/sub", fd)).toMatchObject({ mode: 0o040700 });
      posix.close(fd);
    });

    test("files are unlinked, and directories removed when they are empty", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      posix.mkdir("full", 0o700, fd);
      posix.mkdir("full/sub", 0o700, fd);
      expect(codeOf(() => posix.unlink("full", fd))).toBe("EISDIR");
      expect(codeOf(() => posix.rmdir("file", fd))).toBe("ENOTDIR");
      expect(codeOf(() => posix.rmdir("full", fd))).toBe("ENOTEMPTY");
      posix.rmdir("full/sub", fd);
      posix.rmdir("full", fd);
      posix.unlink("file", fd);
      expect(entriesOf(posix, fd)).toEqual([]);
      posix.close(fd);
    });

    test("another name for a file is the same file", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      posix.link("file", "other", fd, fd);
      posix.unlink("file", fd);
      expect(posix.fileVersion("other", fd)).toMatchObject({ sizeBytes: BYTES.length });
      posix.close(fd);
    });

    test("symbolic links are followed, or examined themselves", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      posix.symlink("file", "link", fd);
      posix.symlink("loop", "loop", fd);
      posix.mkdir("sub", 0o755, fd);
      posix.symlink("sub", "way", fd);
      put(posix, "way/below", fd);
      expect(posix.fileVersion("link", fd)).toEqual(posix.fileVersion("file", fd));
      expect(typeOf(posix.linkVersion("link", fd))).toBe(0o120000);
      expect(posix.linkVersion("file", fd)).toEqual(posix.fileVersion("file", fd));
      expect(posix.fileVersion("sub/below", fd)).toEqual(posix.fileVersion("way/below", fd));
      expect(codeOf(() => posix.open("link", "read", { noFollow: true, at: fd }))).toBe("ELOOP");
      expect(codeOf(() => posix.open("loop", "read", { at: fd }))).toBe("ELOOP");
      expect(posix.fileVersion("loop", fd)).toBe("ELOOP");
      posix.unlink("link", fd);
      expect(posix.fileVersion("file", fd)).toMatchObject({ sizeBytes: BYTES.length });
      posix.close(fd);
    });

    test("a directory can be opened as the place alone, and paths started from it", () => {
      const { path, fd } = newDirectory();
      const place = posix.open(path, "read", { directory: true, pathOnly: true });
      put(posix, "file", place);
      posix.rename("file", "other", place, place);
      expect(posix.fileVersion("other", fd)).toMatchObject({ uid: posix.geteuid() });
      expect(codeOf(() => posix.readDirectory(place))).toBe("EBADF");
      for (const open of [place, fd]) posix.close(open);
    });

    test("the working directory can be set by an open descriptor", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "read", { at: fd });
      expect(codeOf(() => posix.chdirTo(file))).toBe("ENOTDIR");
      for (const open of [file, fd]) posix.close(open);
    });
  });

  describe(`open files of the ${kernel} kernel`, () => {
    test("open files are read and written at a position without moving their own", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "readwrite", { at: fd });
      const into = new Uint8Array(4);
      expect([posix.readAt(file, into, 3), Buffer.from(into).toString()]).toEqual([4, "3456"]);
      expect(posix.readAt(file, into, 8)).toBe(2);
      expect(posix.readAt(file, into, 10)).toBe(0);
      expect(posix.writeAt(file, Buffer.from("abc"), 1)).toBe(3);
      expect([posix.read(file, into), Buffer.from(into).toString()]).toEqual([4, "0abc"]);
      for (const open of [file, fd]) posix.close(open);
    });

    test("open files have a position that can be moved, not before their start", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "readwrite", { at: fd });
      expect(posix.seek(file, 4, "start")).toBe(4);
      expect(posix.seek(file, 2, "here")).toBe(6);
      expect(posix.seek(file, -1, "end")).toBe(9);
      expect(posix.read(file, new Uint8Array(4))).toBe(1);
      expect(codeOf(() => posix.seek(file, -1, "start"))).toBe("EINVAL");
      const [reader, writer] = posix.pipe();
      expect(codeOf(() => posix.seek(reader, 0, "here"))).toBe("ESPIPE");
      expect(codeOf(() => posix.readAt(reader, new Uint8Array(1), 0))).toBe("ESPIPE");
      for (const open of [file, fd, reader, writer]) posix.close(open);
    });

    test("open files are cut and lengthened", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "readwrite", { at: fd });
      posix.truncate(file, 4);
      expect(posix.openFileVersion(file)).toMatchObject({ sizeBytes: 4 });
      posix.truncate(file, 6);
      const into = new Uint8Array(9);
      expect([posix.read(file, into), Buffer.from(into.subarray(0, 6)).toString()]).toEqual([
        6,
        "0123\0\0",
      ]);
      for (const open of [file, fd]) posix.close(open);
    });

    test("open files have their permission bits changed, by name too", () => {
      const { fd } = newDirectory();
      put(posix, "file", fd);
      const file = posix.open("file", "read", { at: fd });
      posix.setMode(file, 0o751);
      expect(posix.openFileVersion(file)).toMatchObject({ mode: 0o100751 });
      posix.chmod("file", 0o640, fd);
      expect(posix.openFileVersion(file)).toMatchObject({ mode: 0o100640 });
      posix.setOwner(file, {});
      posix.chown("file", {}, fd);
      for (const open of [file, fd]) posix.close(open);
    });
  });

  describe(`record locks of the ${kernel} kernel`, () => {
    test("record locks exclude other open files of the same process, until the last copy is closed", () => {
      const { fd } = newDirectory();
      put(posix, "lock", fd);
      const one = posix.open("lock", "readwrite", { at: fd });
      const other = posix.open("lock", "readwrite", { at: fd });
      expect(posix.recordLock(one, "exclusive", false)).toBe(true);
      expect(posix.recordLock(one, "exclusive", false)).toBe(true);
      expect(posix.recordLock(other, "shared", false)).toBe(false);
      expect(posix.recordLockOwner(other, "shared")).toBe("description");
      expect(posix.recordLockOwner(one, "exclusive")).toBeUndefined();
      const copy = posix.dup(one);
      posix.close(one);
      expect(posix.recordLock(other, "exclusive", false)).toBe(false);
      posix.close(copy);
      expect(posix.recordLock(other, "exclusive", false)).toBe(true);
      for (const open of [other, fd]) posix.close(open);
    });

    test("record locks are not lost when another descriptor of the file is closed", () => {
      const { fd } = newDirectory();
      put(posix, "lock", fd);
      const [one, other] = [0, 1].map(() => posix.open("lock", "readwrite", { at: fd }));
      if (one === undefined || other === undefined) throw new Error("two were opened");
      expect(posix.recordLock(one, "exclusive", false)).toBe(true);
      posix.close(posix.open("lock", "read", { at: fd }));
      expect(posix.recordLock(other, "exclusive", false)).toBe(false);
      expect(posix.recordLock(one, "unlock", false)).toBe(true);
      expect(posix.recordLock(other, "exclusive", false)).toBe(true);
      for (const open of [one, other, fd]) posix.close(open);
    });

    test("record locks are shared by readers, and need the right access", () => {
      const { fd } = newDirectory();
      put(posix, "lock", fd);
      const reader = posix.open("lock", "read", { at: fd });
      const writer = posix.open("lock", "readwrite", { at: fd });
      expect(posix.recordLock(reader, "shared", false)).toBe(true);
      expect(posix.recordLock(writer, "shared", false)).toBe(true);
      expect(posix.recordLock(writer, "exclusive", false)).toBe(false);
      expect(codeOf(() => posix.recordLock(reader, "exclusive", false))).toBe("EBADF");
      for (const open of [reader, writer, fd]) posix.close(open);
    });
  });
}

function inodeOf(version: FileVersion | string): number | string {
  return typeof version === "string" ? version : version.inode;
}

/** The S_IF bits. */
function typeOf(version: FileVersion | string): number | string {
  return typeof version === "string" ? version : version.mode & 0o170000;
}
