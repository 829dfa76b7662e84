/** A file is replaced whole or not at all, and nothing is left beside it. */
import { describe, expect, test } from "vitest";

import {
  errnoOf,
  listNames,
  readFile,
  replaceFile,
  TemporaryFileError,
  type Fd,
  type ReplacementSink,
} from "../../src/posix/index.ts";
import { loadPosix } from "../../src/posix/native.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { codeOf, temporaryFolder } from "./program.ts";

const folder = temporaryFolder();
const fakes = new FakePosix();
fakes.putDirectory("/folder");

for (const [kernel, posix, path] of [
  ["fake", fakes, "/folder"],
  ["real", loadPosix(), folder.path],
] as const) {
  const put = (name: string, text: string): void =>
    replaceFile(posix, `${path}/${name}`, {}, (sink) => sink.write(Buffer.from(text), 0));
  const textOf = (name: string): string => readFile(posix, `${path}/${name}`, 100).toString();

  describe(`replacing a file of the ${kernel} kernel`, () => {
    test("replacing a file makes it or puts another in its place", () => {
      put("file", "old");
      const before = posix.fileVersion(`${path}/file`);
      put("file", "new");
      expect(textOf("file")).toBe("new");
      expect(before).toMatchObject({ mode: 0o100600 });
      const after = posix.fileVersion(`${path}/file`);
      expect(inodes(before, after).size).toBe(2);
      expect(listNames(posix, path, 9)).toEqual(["file"]);
    });

    test("replacing a file takes bytes in any order, and permission bits", () => {
      const options = { createMode: 0o666, mode: 0o644, sync: "content" } as const;
      replaceFile(posix, `${path}/pieces`, options, (sink) => {
        sink.write(Buffer.from("end"), 3);
        sink.write(Buffer.from("the"), 0);
      });
      expect(textOf("pieces")).toBe("theend");
      expect(posix.fileVersion(`${path}/pieces`)).toMatchObject({ mode: 0o100644 });
    });

    test("replacing a file works from the descriptor of a directory", () => {
      posix.mkdir(`${path}/sub`, 0o755);
      const at = posix.open(`${path}/sub`, "read", { directory: true });
      replaceFile(posix, "name", { at, sync: "nothing" }, ({ write }) => write(Buffer.of(65), 0));
      expect(listNames(posix, `${path}/sub`, 9)).toEqual(["name"]);
      posix.close(at);
    });

    test("replacing a file leaves the old file and nothing else when writing fails", () => {
      put("kept", "old");
      const fail = (): never => {
        throw new RangeError("no more");
      };
      expect(() => replaceFile(posix, `${path}/kept`, { tag: "x" }, fail)).toThrow("no more");
      expect(textOf("kept")).toBe("old");
      const temporary = `${path}/temporary`;
      expect(() => replaceFile(posix, `${path}/kept`, { temporary }, fail)).toThrow("no more");
      expect(listNames(posix, path, 9).toSorted()).toEqual(["file", "kept", "pieces", "sub"]);
    });

    test("replacing a file passes over names that are taken", () => {
      put("file:tag:000000", "somebody's");
      replaceFile(posix, `${path}/file`, { tag: "tag" }, ({ write }) => write(Buffer.of(66), 0));
      expect([textOf("file:tag:000000"), textOf("file")]).toEqual(["somebody's", "B"]);
    });

    test("replacing a file uses the temporary file that is named, and no file that exists", () => {
      const temporary = `${path}/named`;
      replaceFile(posix, `${path}/file`, { temporary }, ({ write }) => write(Buffer.from("n"), 0));
      expect([textOf("file"), posix.fileVersion(temporary)]).toEqual(["n", "ENOENT"]);
      posix.close(posix.open(temporary, "write", { create: 0o640 }));
      expect(() => replaceFile(posix, `${path}/file`, { temporary }, () => undefined)).toThrow(
        TemporaryFileError,
      );
      expect(posix.fileVersion(temporary)).not.toBe("ENOENT");
      posix.unlink(temporary);
    });

    test("replacing a file reports which temporary file could not be made, by its name and cause", () => {
      const temporary = `${path}/none/temporary`;
      let error: unknown;
      try {
        replaceFile(posix, `${path}/file`, { temporary }, () => undefined);
      } catch (caught) {
        error = caught;
      }
      expect(error).toBeInstanceOf(TemporaryFileError);
      expect([error instanceof TemporaryFileError && error.path]).toEqual([temporary]);
      expect(error instanceof Error && errnoOf(error.cause)).toBe("ENOENT");
      expect(codeOf(() => put("none/file", ""))).toBe("ENOENT");
    });
  });
}

/** A kernel that brings one file to disk, and no more. */
class DirectoriesFailing extends FakePosix {
  synced = 0;

  override fsync(fd: Fd): void {
    if (++this.synced > 1) this.failNext("fsync", "EIO");
    super.fsync(fd);
  }
}

describe("failing calls", () => {
  test.each(["writeAt", "setMode", "fsync", "close", "rename"] as const)(
    "a failing %s while a file is replaced leaves the old file and nothing beside it",
    (call) => {
      const fake = new FakePosix();
      fake.putFile("/folder/file", "old");
      fake.failNext(call, "EIO");
      const before = fake.openFds;
      const replace = (): void =>
        replaceFile(fake, "/folder/file", { mode: 0o644 }, ({ write }) => write(Buffer.of(1), 0));
      expect(codeOf(replace)).toBe("EIO");
      expect(fake.fileText("/folder/file")).toBe("old");
      expect([...fake.files.keys()].filter((key) => key.includes("file"))).toEqual([
        "/folder/file",
      ]);
      expect(fake.openFds).toEqual(before);
    },
  );

  test("a directory that cannot be synced is no failure, for the file is in place", () => {
    const write = ({ write: put }: ReplacementSink): void => put(Buffer.of(65), 0);
    const failing = new DirectoriesFailing();
    failing.putDirectory("/folder");
    replaceFile(failing, "/folder/file", {}, write);
    expect([failing.synced, failing.fileText("/folder/file")]).toEqual([2, "A"]);
  });
});

function inodes(...versions: readonly unknown[]): Set<unknown> {
  return new Set(versions.map((version) => (version as { inode: number }).inode));
}
