/**
 * Certificates and keys as files: `NAME.pem` and `NAME.key` in a directory, the authority as `ca`. A key
 * is for its owner only. A file appears complete or not at all, and an old one is never lost unasked.
 */

import { dirname, join } from "node:path";
import { errnoOf, readFile, UnfitFile, writeFully } from "../posix/index.ts";
import { attempt, CertProblem } from "./problem.ts";

import type { Posix } from "../posix/index.ts";
import type { CertifiedKey } from "./issue.ts";

/** Much more than any chain has. */
export const CERT_FILE_BYTES_MAX = 1 << 20;

/** The name of the authority's files. */
export const AUTHORITY = "ca";

const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;
const DIRECTORY_MODE = 0o777;

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
export function refuseExisting(posix: Posix, { certificates, key }: CertFiles): void {
  const there = [certificates, key].find((path) => isThere(posix, path));
  if (there !== undefined) throw existing(there);
}

/** The content of the two files; undefined if neither is there. Throws CertProblem. */
export function readCertified(posix: Posix, files: CertFiles): CertifiedKey | undefined {
  const { certificates, key } = files;
  if (![certificates, key].some((path) => isThere(posix, path))) return undefined;
  return { certificates: readText(posix, certificates), key: readText(posix, key) };
}

/**
 * A file of at most CERT_FILE_BYTES_MAX bytes; a pipe that a user named is waited for. Throws
 * CertProblem.
 */
export function readBounded(posix: Posix, path: string): Buffer {
  try {
    return attempt(`read ${path}`, () =>
      readFile(posix, path, CERT_FILE_BYTES_MAX, { anyKind: true, waits: true }),
    );
  } catch (error) {
    if (!(error instanceof CertProblem)) throw error;
    if (errnoOf(error.cause) === "EISDIR") throw new CertProblem("input", `${path} is a directory`);
    if (!(error.cause instanceof UnfitFile) || error.cause.reason !== "too long") throw error;
    throw new CertProblem("input", `${path} is longer than ${CERT_FILE_BYTES_MAX} bytes`);
  }
}

function isThere(posix: Posix, path: string): boolean {
  return typeof posix.fileVersion(path) !== "string";
}

/**
 * Write both files, and the directory if it is missing. Either both are new or, should something go
 * wrong, neither is; only a crash between the two renames of `replaces` can leave an old certificate
 * beside a new key. Throws CertProblem.
 */
export function writeCertified(
  posix: Posix,
  directory: string,
  name: string,
  certified: CertifiedKey,
  { replaces }: WriteOptions,
): CertFiles {
  const files = certFiles(directory, name);
  attempt(`make ${directory}`, () => makeDirectories(posix, directory));
  using key = new NewFile(posix, files.key, KEY_MODE, certified.key);
  using certificates = new NewFile(
    posix,
    files.certificates,
    CERTIFICATE_MODE,
    certified.certificates,
  );

  if (replaces) {
    key.replace();
    certificates.replace();
    return files;
  }
  key.add();
  try {
    certificates.add();
  } catch (error) {
    remove(posix, files.key);
    throw error;
  }
  return files;
}

/** A file that is complete under another name, which goes when it is disposed of. */
class NewFile implements Disposable {
  readonly #posix: Posix;
  readonly #path: string;
  readonly #temporary: string;

  constructor(posix: Posix, path: string, mode: number, text: string) {
    this.#posix = posix;
    this.#path = path;
    this.#temporary = `${path}.new`;
    attempt(`write ${this.#temporary}`, () => writeNew(posix, this.#temporary, mode, text));
  }

  /** Give it its name, unless a file has it. */
  add(): void {
    try {
      this.#posix.link(this.#temporary, this.#path);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw existing(this.#path);
      throw new CertProblem("system", `unable to write ${this.#path}`, { cause: error });
    }
  }

  /** Give it its name in place of the file that has it. */
  replace(): void {
    attempt(`write ${this.#path}`, () => this.#posix.rename(this.#temporary, this.#path));
  }

  [Symbol.dispose](): void {
    remove(this.#posix, this.#temporary);
  }
}

/** The file must not be there: two writers cannot share it, and what a crash left is looked at first. */
function writeNew(posix: Posix, path: string, mode: number, text: string): void {
  const fd = posix.open(path, "write", { create: mode, exclusive: true });
  try {
    writeFully(posix, fd, Buffer.from(text));
    posix.fsync(fd);
  } catch (error) {
    remove(posix, path);
    throw error;
  } finally {
    posix.close(fd);
  }
}

function remove(posix: Posix, path: string): void {
  try {
    posix.unlink(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Make a directory and those above it, as far as they are missing. */
function makeDirectories(posix: Posix, path: string): void {
  try {
    posix.mkdir(path, DIRECTORY_MODE);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeDirectories(posix, dirname(path));
    posix.mkdir(path, DIRECTORY_MODE);
  }
}

function readText(posix: Posix, path: string): string {
  return readBounded(posix, path).toString("utf8");
}

function existing(path: string): CertProblem {
  return new CertProblem("input", `${path} is there already; --force replaces it`);
}
