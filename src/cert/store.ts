/**
 * Certificates and keys as files: `NAME.pem` and `NAME.key` in a directory, the authority as `ca`. A key
 * is for its owner only. A file appears complete or not at all, and an old one is never lost unasked.
 */

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { encodeBytes, errnoOf } from "../posix/index.ts";
import { attempt, CertProblem } from "./problem.ts";

import type { CertifiedKey } from "./issue.ts";

/** Much more than any chain has. */
export const CERT_FILE_BYTES_MAX = 1 << 20;

/** The name of the authority's files. */
export const AUTHORITY = "ca";

const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

/** The paths of the two files of a name. */
export interface CertFiles {
  readonly certificates: string;
  readonly key: string;
}

export interface WriteOptions {
  /** May files that are there be replaced? */
  readonly replaces: boolean;
}

export function certFiles(directory: string, name: string): CertFiles {
  return { certificates: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
}

/** Throws CertProblem if one of the files is there. */
export function refuseExisting({ certificates, key }: CertFiles): void {
  const there = [certificates, key].find((path) => existsSync(encodeBytes(path)));
  if (there !== undefined) throw existing(there);
}

/** The content of the two files; undefined if neither is there. Throws CertProblem. */
export function readCertified(files: CertFiles): CertifiedKey | undefined {
  const { certificates, key } = files;
  if (![certificates, key].some((path) => existsSync(encodeBytes(path)))) return undefined;
  return { certificates: readText(certificates), key: readText(key) };
}

/** A file of at most CERT_FILE_BYTES_MAX bytes. Throws CertProblem. */
export function readBounded(path: string): Buffer {
  return attempt(`read ${path}`, () => {
    const fd = openSync(encodeBytes(path), "r");
    try {
      return readAll(fd, path);
    } finally {
      closeSync(fd);
    }
  });
}

/**
 * Write both files, and the directory if it is missing. Either both are new or, should something go
 * wrong, neither is; only a crash between the two renames of `replaces` can leave an old certificate
 * beside a new key. Throws CertProblem.
 */
export function writeCertified(
  directory: string,
  name: string,
  certified: CertifiedKey,
  { replaces }: WriteOptions,
): CertFiles {
  const files = certFiles(directory, name);
  attempt(`make ${directory}`, () => mkdirSync(encodeBytes(directory), { recursive: true }));
  using key = new NewFile(files.key, KEY_MODE, certified.key);
  using certificates = new NewFile(files.certificates, CERTIFICATE_MODE, certified.certificates);

  if (replaces) {
    key.replace();
    certificates.replace();
    return files;
  }
  key.add();
  try {
    certificates.add();
  } catch (error) {
    rmSync(encodeBytes(files.key), { force: true });
    throw error;
  }
  return files;
}

/** A file that is complete under another name, which goes when it is disposed of. */
class NewFile implements Disposable {
  readonly #path: string;
  readonly #temporary: Buffer;

  constructor(path: string, mode: number, text: string) {
    this.#path = path;
    this.#temporary = encodeBytes(`${path}.new`);
    attempt(`write ${path}.new`, () => writeNew(this.#temporary, mode, text));
  }

  /** Give it its name, unless a file has it. */
  add(): void {
    try {
      linkSync(this.#temporary, encodeBytes(this.#path));
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw existing(this.#path);
      throw new CertProblem("system", `unable to write ${this.#path}`, { cause: error });
    }
  }

  /** Give it its name in place of the file that has it. */
  replace(): void {
    attempt(`write ${this.#path}`, () => renameSync(this.#temporary, encodeBytes(this.#path)));
  }

  [Symbol.dispose](): void {
    rmSync(this.#temporary, { force: true });
  }
}

/** The file must not be there: two writers cannot share it, and what a crash left is looked at first. */
function writeNew(path: Buffer, mode: number, text: string): void {
  const fd = openSync(path, "wx", mode);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function readText(path: string): string {
  return readBounded(path).toString("utf8");
}

/** Ends at a ceiling whatever the kernel says of the size: it may be a pipe. */
function readAll(fd: number, path: string): Buffer {
  if (fstatSync(fd).isDirectory()) throw new CertProblem("input", `${path} is a directory`);
  const bytes = Buffer.alloc(CERT_FILE_BYTES_MAX + 1);
  let used = 0;
  for (let count = -1; count !== 0 && used < bytes.length; used += count) {
    count = readSync(fd, bytes, used, bytes.length - used, null);
  }
  if (used < bytes.length) return bytes.subarray(0, used);
  throw new CertProblem("input", `${path} is longer than ${CERT_FILE_BYTES_MAX} bytes`);
}

function existing(path: string): CertProblem {
  return new CertProblem("input", `${path} is there already; --force replaces it`);
}
