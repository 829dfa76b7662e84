/** The common parts of the tests of src/access: files as Node sees them, databases in memory, samples. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CdbWriter } from "../../src/access/cdb/writer.ts";
import { DENY_VALUE, formatAllow } from "../../src/access/lookup/rule-value.ts";
import { encodeEdits, parseEdit, parseIp } from "../../src/net/index.ts";
import { loadPosix, SystemError } from "../../src/posix/index.ts";

import type { CdbSink } from "../../src/access/index.ts";
import type { IpAddress } from "../../src/net/index.ts";
import type { RulesPosix } from "../../src/access/lookup/kernel.ts";
import type { Fd, FileVersion, Posix, ReplacingPosix } from "../../src/posix/index.ts";

const real = loadPosix();

type Rest<Call extends (path: string, ...rest: never) => unknown> =
  Parameters<Call> extends [string, ...infer Others] ? Others : never;

/** The files of the real kernel; the clock is the test's. */
export class NodeFiles implements RulesPosix, ReplacingPosix {
  readonly close = real.close;
  readonly read = real.read;
  readonly openFileVersion = real.openFileVersion;
  readonly readDirectory = real.readDirectory;
  readonly writeAt = real.writeAt;
  readonly fsync = real.fsync;
  readonly setMode = real.setMode;
  readonly rename = real.rename;
  readonly unlink = real.unlink;
  nowNs = 0n;
  /** Paths that say EACCES, which root cannot have the file system say. */
  readonly forbidden = new Set<string>();
  versionsAsked = 0;
  /** The errno name that opening a file fails with. */
  openFailure: string | undefined;
  /** Called before a file is opened. */
  beforeOpen: (path: string) => void = () => {};
  opened = 0;

  open(path: string, ...rest: Rest<Posix["open"]>): Fd {
    this.opened += 1;
    this.beforeOpen(path);
    const code = this.forbidden.has(path) ? "EACCES" : this.openFailure;
    if (code !== undefined) throw new SystemError(code, 1, "open", code);
    return real.open(path, ...rest);
  }

  readable(path: string): string | undefined {
    return this.forbidden.has(path) ? "EACCES" : real.readable(path);
  }

  fileVersion(path: string): FileVersion | string {
    this.versionsAsked += 1;
    return real.fileVersion(path);
  }

  strerror(name: string): string {
    return real.strerror(name);
  }

  linkVersion(path: string): FileVersion | string {
    this.versionsAsked += 1;
    return real.linkVersion(path);
  }

  realtimeNs(): bigint {
    return this.nowNs;
  }
}

/** A directory that goes with the test, and what is put into it. */
export class TemporaryDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "ucspi-access-"));

  /** Write files by their path below the directory; one that ends in a slash is a directory. */
  write(files: Readonly<Record<string, string | Uint8Array>>): string {
    for (const [name, content] of Object.entries(files)) {
      const path = this.file(name);
      mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
      if (!name.endsWith("/")) writeFileSync(path, content);
    }
    return this.path;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A record as a test writes it. */
export type SampleRecord = readonly [key: string | Uint8Array, value: string | Uint8Array];

/** A file in memory that a database is written to. */
export function growingFile(): CdbSink & { bytes(): Buffer } {
  let file = Buffer.alloc(4096);
  let size = 0;
  return {
    write(bytes, position) {
      const end = position + bytes.length;
      if (end > file.length) file = Buffer.concat([file, Buffer.alloc(2 * end - file.length)]);
      file.set(bytes, position);
      size = Math.max(size, end);
    },
    bytes: () => file.subarray(0, size),
  };
}

/** The bytes of a database with these records. */
export function cdbBytes(records: Iterable<SampleRecord>): Buffer {
  const file = growingFile();
  const writer = new CdbWriter(file);
  for (const [key, value] of records) writer.add(Buffer.from(key), Buffer.from(value));
  writer.finish();
  return file.bytes();
}

/** A rule as the vectors have it: `allow`, `allow A=b C`, `deny`. */
export interface SampleRule {
  readonly key: string;
  readonly text: string;
}

/** The value a rule is compiled to. */
export function sampleValue(text: string): Uint8Array {
  const [verdict, ...edits] = text.split(" ");
  if (verdict === "deny") return DENY_VALUE;
  if (verdict === "neither") return Buffer.from("?");
  return formatAllow(encodeEdits(edits.map(parseEdit)), Buffer.alloc(0));
}

/** The files a rule is made of in a directory. */
export function sampleFiles({ key, text }: SampleRule): Record<string, string> {
  const [verdict = "", ...edits] = text.split(" ");
  if (verdict === "neither") return { [`${key}/`]: "" };
  const files: Record<string, string> = { [`${key}/${verdict}`]: "" };
  for (const { name, value } of edits.map(parseEdit)) {
    files[`${key}/env/${name}`] = value === undefined ? "" : `${value}\n`;
  }
  return files;
}

export function mustParseIp(text: string): IpAddress {
  const ip = parseIp(text);
  if (ip === undefined) throw new TypeError(`Not an address: ${text}`);
  return ip;
}
