/** Key material is read up to a ceiling, of regular files only, and directories to a number of entries. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { loadPosix } from "../../../src/posix/index.ts";
import {
  CADIR_ENTRIES_MAX,
  MATERIAL_FILE_BYTES_MAX,
  MaterialFiles,
} from "../../../src/tls/material/material-files.ts";

const posix = loadPosix();
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "material-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

function holeOf(bytes: number): string {
  const path = join(folder, `hole-${bytes}`);
  const fd = posix.open(path, "write", { create: 0o600 });
  posix.truncate(fd, bytes);
  posix.close(fd);
  return path;
}

test("a file of material has a size limit, and one byte more is refused", () => {
  const files = new MaterialFiles(posix);
  expect(files.read(holeOf(MATERIAL_FILE_BYTES_MAX)).length).toBe(MATERIAL_FILE_BYTES_MAX);
  expect(() => files.read(holeOf(MATERIAL_FILE_BYTES_MAX + 1))).toThrow(
    `it is longer than ${MATERIAL_FILE_BYTES_MAX} bytes`,
  );
});

test("a fifo in the place of a file of material is refused, without waiting", () => {
  const path = join(folder, "fifo");
  posix.mkfifo(path, 0o600);
  expect(() => new MaterialFiles(posix).read(path)).toThrow("it is not a regular file");
});

test("a directory of authorities has a limit of entries, and one more is refused", () => {
  const path = join(folder, "authorities");
  posix.mkdir(path, 0o700);
  const at = posix.open(path, "read", { directory: true });
  for (let count = 0; count < CADIR_ENTRIES_MAX; count++) posix.symlink("x", `a${count}`, at);
  expect(new MaterialFiles(posix).list(path).length).toBe(CADIR_ENTRIES_MAX);
  posix.symlink("x", "one-more", at);
  posix.close(at);
  expect(() => new MaterialFiles(posix).list(path)).toThrow(
    `it has more than ${CADIR_ENTRIES_MAX} entries`,
  );
});
