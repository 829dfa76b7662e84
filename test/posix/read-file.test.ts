/** Files are read as what they should be, up to a ceiling, and never waited for. */
import { describe, expect, test } from "vitest";

import {
  listNames,
  readFile,
  readHead,
  UnfitFile,
  type ReadingPosix,
} from "../../src/posix/index.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { Posix } from "../../src/posix/posix.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { codeOf, request, temporaryFolder, waitFor } from "./program.ts";

const MAX = 10_000;

function put(posix: Posix, path: string, bytes: Uint8Array): string {
  const fd = posix.open(path, "write", { create: 0o644, truncate: true });
  posix.write(fd, bytes);
  posix.close(fd);
  return path;
}

function reasonOf(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof UnfitFile) return error.reason;
    throw error;
  }
}

/** The same kernel, but after each look at an open file something else happens. */
function afterEachLook(posix: Posix, happen: () => void): ReadingPosix {
  return {
    open: (path, mode, options) => posix.open(path, mode, options),
    close: (fd) => posix.close(fd),
    read: (fd, into) => posix.read(fd, into),
    openFileVersion: (fd) => {
      const version = posix.openFileVersion(fd);
      happen();
      return version;
    },
  };
}

const temporary = temporaryFolder();
const fake = new FakePosix();
fake.putDirectory("/folder");

for (const [kernel, posix, folder] of [
  ["fake", fake, "/folder"],
  ["real", loadPosix(), temporary.path],
] as const) {
  describe(`reading a file of the ${kernel} kernel`, () => {
    test.each([0, 1, 4095, 4096, 4097, MAX])("reading a file gives all of its %i bytes", (size) => {
      const bytes = Buffer.alloc(size, "content");
      const path = put(posix, `${folder}/file`, bytes);
      expect(readFile(posix, path, MAX).equals(bytes)).toBe(true);
      expect(readFile(posix, path, size).equals(bytes)).toBe(true);
      expect(readHead(posix, path, MAX).equals(bytes)).toBe(true);
    });

    test("reading a file stops at the ceiling", () => {
      const path = put(posix, `${folder}/long`, Buffer.alloc(MAX + 1));
      expect(reasonOf(() => readFile(posix, path, MAX))).toBe("too long");
      expect(codeOf(() => readFile(posix, path, MAX))).toBe("EFBIG");
      expect(readHead(posix, path, MAX).length).toBe(MAX);
    });

    test("reading a file refuses a fifo without waiting for a writer", () => {
      const path = `${folder}/fifo`;
      posix.mkfifo(path, 0o600);
      expect(reasonOf(() => readFile(posix, path, MAX))).toBe("not a regular file");
      expect(reasonOf(() => readHead(posix, path, MAX))).toBe("not a regular file");
      expect(codeOf(() => readFile(posix, path, MAX))).toBe("EINVAL");
      expect(readHead(posix, path, MAX, { anyKind: true }).length).toBe(0);
    });

    test("reading a file refuses a directory and a socket", () => {
      posix.mkdir(`${folder}/sub`, 0o755);
      expect(codeOf(() => readFile(posix, `${folder}/sub`, MAX))).toBe("EISDIR");
      const path = `${folder}/socket`;
      const socket = posix.socket("unix", "stream");
      posix.bind(socket, { family: "unix", path });
      expect(codeOf(() => readFile(posix, path, MAX))).toBe("ENXIO");
      posix.close(socket);
    });

    test("reading a file leaves no descriptor open, whatever happens", () => {
      const path = put(posix, `${folder}/any`, Buffer.alloc(MAX));
      const probe = posix.dup(posix.open(path, "read"), 200);
      for (const action of [
        () => readFile(posix, path, MAX),
        () => readFile(posix, path, 1),
        () => readHead(posix, `${folder}/sub`, 1),
        () => readHead(posix, `${folder}/none`, 1),
        () => listNames(posix, folder, 0),
      ]) {
        codeOf(action);
        const next = posix.dup(probe, 201);
        posix.close(next);
        expect(next).toBe(201);
      }
      posix.close(probe);
    });

    test("reading a file repeats when it changes meanwhile, and gives up when it goes on changing", () => {
      const path = put(posix, `${folder}/changing`, Buffer.from("first"));
      let changes = 0;
      const changeOnce = afterEachLook(posix, () => {
        if (changes++ === 0) put(posix, path, Buffer.from("second content"));
      });
      expect(readFile(changeOnce, path, MAX).toString()).toBe("second content");
      const changeAlways = afterEachLook(posix, () => {
        put(posix, path, Buffer.alloc(++changes));
      });
      expect(reasonOf(() => readFile(changeAlways, path, MAX))).toBe("changing");
    });

    test("reading a file never gives more than the ceiling of a file that grows", () => {
      const path = put(posix, `${folder}/growing`, Buffer.alloc(8));
      const grow = afterEachLook(posix, () => put(posix, path, Buffer.alloc(MAX)));
      expect(codeOf(() => readFile(grow, path, 8))).toBe("EFBIG");
    });

    test("reading a directory lists its names, no more than asked for", () => {
      posix.mkdir(`${folder}/list`, 0o755);
      expect(listNames(posix, `${folder}/list`, 0)).toEqual([]);
      for (const name of ["b", "a", ".c"]) put(posix, `${folder}/list/${name}`, Buffer.alloc(0));
      expect(listNames(posix, `${folder}/list`, 3).toSorted()).toEqual([".c", "a", "b"]);
      expect(reasonOf(() => listNames(posix, `${folder}/list`, 2))).toBe("too long");
      expect(codeOf(() => listNames(posix, `${folder}/list/a`, 2))).toBe("ENOTDIR");
      const at = posix.open(`${folder}/list`, "read", { directory: true });
      expect(listNames(posix, ".", 3, { at }).length).toBe(3);
      put(posix, `${folder}/list/a`, Buffer.from("by descriptor"));
      expect(readFile(posix, "a", MAX, { at }).toString()).toBe("by descriptor");
      posix.close(at);
    });
  });
}

test("reading a file that a user named waits for it, if it is a fifo", () => {
  const posix = loadPosix();
  const path = temporary.file("waited");
  posix.mkfifo(path, 0o600);
  const script = "printf first; sleep 0; printf second";
  const child = posix.spawn(request(["sh", "-c", `{ ${script}; } > '${path}'`]));
  const options = { anyKind: true, waits: true };
  expect(readFile(posix, path, MAX, options).toString()).toBe("firstsecond");
  posix.waitReady(child.pidfd, { readable: true }, -1);
  waitFor(child.pid);
  posix.close(child.pidfd);
});

test("reading refuses devices, and takes files of /proc though they show no size", () => {
  const posix = loadPosix();
  expect(reasonOf(() => readFile(posix, "/dev/null", MAX))).toBe("not a regular file");
  expect(reasonOf(() => readHead(posix, "/dev/zero", MAX))).toBe("not a regular file");
  expect(readHead(posix, "/dev/zero", 5, { anyKind: true })).toEqual(Buffer.alloc(5));
  const version = posix.fileVersion("/proc/self/status");
  if (typeof version === "string") throw new Error(version);
  expect(version.sizeBytes).toBe(0);
  expect(readFile(posix, "/proc/self/status", 100_000).toString()).toMatch(/^Name:/);
  expect(reasonOf(() => readFile(posix, "/proc/self/status", 10))).toBe("too long");
});

test("a directory of thousands of entries is listed whole, and no name twice", () => {
  const posix = loadPosix();
  const folder = temporary.file("many");
  posix.mkdir(folder, 0o755);
  const at = posix.open(folder, "read", { directory: true });
  const names = Array.from({ length: 3000 }, (_, index) => `${"long name ".repeat(8)}${index}`);
  for (const name of names) posix.close(posix.open(name, "write", { create: 0o600, at }));
  expect(listNames(posix, folder, 3000).toSorted()).toEqual(names.toSorted());
  expect(reasonOf(() => listNames(posix, folder, 2999))).toBe("too long");
  posix.close(at);
});
