/** Reading files and directories the way rules are stored in them: bytes, and names as they come. */

import { closeSync, fstatSync, opendirSync, openSync, readSync } from "node:fs";
import { decodeBytes, encodeBytes } from "../../posix/index.ts";
import { CDB_BYTES_MAX, CdbError } from "./cdb.ts";

/** What one read(2) is asked for at most; Linux gives no more than 2 GiB at a time. */
const READ_BYTES_MAX = 1 << 30;

/**
 * A database file, whole. Throws CdbError for an empty or too large file and for one that shrinks
 * meanwhile, and Node's error where a system call fails.
 */
export function readCdbFile(path: string): Buffer {
  using file = openForReading(path);

  const size = fstatSync(file.fd).size;
  if (size === 0) throw new CdbError("the file is empty");
  if (size > CDB_BYTES_MAX) throw new CdbError("the file is longer than a CDB can be");
  const bytes = Buffer.allocUnsafeSlow(size);
  if (readFully(file.fd, bytes) < size) throw new CdbError("the file was cut short");
  return bytes;
}

/** The first `bytesMax` bytes of a file, or all it has. Throws Node's error. */
export function readHead(path: string, bytesMax: number): Buffer {
  using file = openForReading(path);

  const bytes = Buffer.alloc(bytesMax);
  return bytes.subarray(0, readFully(file.fd, bytes));
}

/**
 * The names in a directory, in the order of readdir(3), which depends on the file system; `.` and
 * `..` are left out. (readdirSync would sort them.) Throws Node's error.
 */
export function listNames(path: string): string[] {
  using directory = openDirectory(path);

  const names: string[] = [];
  for (let entry = directory.read(); entry !== null; entry = directory.read()) {
    names.push(decodeBytes(Buffer.from(entry.name, "latin1")));
  }
  return names;
}

/** A path in the bytes the kernel will see. */
export function pathBytes(path: string): Buffer {
  return encodeBytes(path);
}

function readFully(fd: number, bytes: Buffer): number {
  let used = 0;
  while (used < bytes.length) {
    const most = Math.min(READ_BYTES_MAX, bytes.length - used);
    const count = readSync(fd, bytes, used, most, null);
    if (count === 0) break;
    used += count;
  }
  return used;
}

function openForReading(path: string): Disposable & { readonly fd: number } {
  const fd = openSync(pathBytes(path), "r");
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

function openDirectory(path: string): Disposable & { read(): { name: string } | null } {
  const directory = opendirSync(pathBytes(path), { encoding: "latin1" });
  return { read: () => directory.readSync(), [Symbol.dispose]: () => directory.closeSync() };
}
