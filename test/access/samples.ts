/** What the tests of src/access share: files as Node sees them, databases in memory, samples. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CdbWriter } from "../../src/access/cdb/writer.ts";
import { DENY_VALUE, formatAllow } from "../../src/access/lookup/rule-value.ts";
import { encodeEdits, parseEdit, parseIp } from "../../src/net/index.ts";
import { loadPosix } from "../../src/posix/index.ts";

import type { IpAddress } from "../../src/net/index.ts";
import type { RulesPosix } from "../../src/access/lookup/kernel.ts";
import type { FileVersion, ReplacingPosix } from "../../src/posix/index.ts";

const real = loadPosix();

/** The files of the real kernel; the clock is the test's. */
export class NodeFiles implements RulesPosix, ReplacingPosix {
  readonly open = real.open;
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

  readable(path: string): string | undefined {
    return this.forbidden.has(path) ? "EACCES" : real.readable(path);
  }

  fileVersion(path: string): FileVersion | string {
    this.versionsAsked += 1;
    return real.fileVersion(path);
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

/** The bytes of a database with these records. */
export function cdbBytes(records: Iterable<SampleRecord>): Buffer {
  let file = Buffer.alloc(0);
  const writer = new CdbWriter({
    write(bytes, position) {
      const end = position + bytes.length;
      if (end > file.length) file = Buffer.concat([file, Buffer.alloc(end - file.length)]);
      file.set(bytes, position);
    },
  });
  for (const [key, value] of records) writer.add(Buffer.from(key), Buffer.from(value));
  writer.finish();
  return file;
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
