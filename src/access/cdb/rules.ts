/**
 * Rules kept in a CDB file that may be replaced at any time. Before each check one stat(2) tells
 * whether the file in memory is still the one on disk; only then is it read again. While the file is
 * missing, unreadable or damaged every check is an error, which keeps clients out; the rules before
 * are never used in its place.
 */

import { errnoOf } from "../../posix/index.ts";
import { CdbRuleSet } from "./rule-set.ts";
import { CdbError } from "./cdb.ts";
import { readCdbFile } from "./read-file.ts";
import { failed } from "../lookup/rules.ts";

import type { IpAddress } from "../../net/index.ts";
import type { FileVersion, Posix } from "../../posix/index.ts";
import type { ClientCertificate } from "../lookup/client-certificate.ts";
import type { LocalPeer } from "../lookup/keys.ts";
import type { CertificateRules, Failed, RuleResult, Verdict } from "../lookup/rules.ts";

/**
 * A file system's time stamps advance in steps (4 to 10 ms on Linux). A file changed this shortly
 * before it was read may change again under the same stamp, so it is read once more.
 */
const RACY_NS = 50_000_000n;
const SECOND_NS = 1_000_000_000n;
/** S_IFMT and S_IFREG of stat(2). */
const FILE_TYPE = 0o170000;
const REGULAR_FILE = 0o100000;

/** What was read, and the version of the file it was read from. */
interface Snapshot {
  readonly rules: CdbRuleSet | Failed;
  readonly version: FileVersion;
  readonly isRacy: boolean;
  readonly bytes: Buffer | undefined;
}

export class CdbRules implements CertificateRules {
  readonly #posix: Pick<Posix, "fileVersion" | "realtimeNs">;
  readonly #path: string;
  #snapshot: Snapshot | undefined;

  constructor(posix: Pick<Posix, "fileVersion" | "realtimeNs">, path: string) {
    this.#posix = posix;
    this.#path = path;
  }

  probe(key: string): RuleResult {
    const rules = this.#current();
    return "kind" in rules ? rules : rules.probe(key);
  }

  checkIp(ip: IpAddress): Verdict {
    const rules = this.#current();
    return "kind" in rules ? { ...rules, rule: undefined } : rules.checkIp(ip);
  }

  checkReverseDns(name: string): Verdict {
    const rules = this.#current();
    return "kind" in rules ? { ...rules, rule: undefined } : rules.checkReverseDns(name);
  }

  checkUidGid(peer: LocalPeer): Verdict {
    const rules = this.#current();
    return "kind" in rules ? { ...rules, rule: undefined } : rules.checkUidGid(peer);
  }

  checkClientCertificate(certificate: ClientCertificate | undefined): Verdict {
    const rules = this.#current();
    if ("kind" in rules) return { ...rules, rule: undefined };
    return rules.checkClientCertificate(certificate);
  }

  /** The rules of the file as it is now. */
  #current(): CdbRuleSet | Failed {
    const version = this.#posix.fileVersion(this.#path);
    if (typeof version === "string") {
      this.#snapshot = undefined;
      return failed(`unable to read ${this.#path}`, version);
    }
    const last = this.#snapshot;
    if (last !== undefined && !last.isRacy && isSameVersion(last.version, version)) {
      return last.rules;
    }
    return this.#reload(version);
  }

  /** A failed system call is tried again at the next check; a damaged file not until it changes. */
  #reload(version: FileVersion): CdbRuleSet | Failed {
    if ((version.mode & FILE_TYPE) !== REGULAR_FILE) {
      // Opening a fifo would wait for a writer.
      this.#snapshot = undefined;
      return failed(`${this.#path} is not a regular file`, "EINVAL");
    }
    const isRacy = this.#isRacy(version);
    let bytes: Buffer | undefined;
    let rules: CdbRuleSet | Failed;
    try {
      bytes = readCdbFile(this.#path);
      rules = this.#rulesOf(bytes);
    } catch (error) {
      rules = failed(describeFailure(this.#path, error), errnoOf(error));
      if (!(error instanceof CdbError)) {
        this.#snapshot = undefined;
        return rules;
      }
    }
    this.#snapshot = { rules, version, isRacy, bytes };
    return rules;
  }

  /** The rules in memory where the bytes are those they came from, which spares a new index. */
  #rulesOf(bytes: Buffer): CdbRuleSet {
    const last = this.#snapshot;
    const isSame = last?.bytes !== undefined && !("kind" in last.rules) && bytes.equals(last.bytes);
    return isSame && !("kind" in last.rules) ? last.rules : new CdbRuleSet(bytes);
  }

  /** By the time of the last change of state, which unlike the modification time nobody can set. */
  #isRacy(version: FileVersion): boolean {
    const changed = BigInt(version.ctimeSeconds) * SECOND_NS + BigInt(version.ctimeNanoseconds);
    const age = this.#posix.realtimeNs() - changed;
    return age > -RACY_NS && age < RACY_NS;
  }
}

function isSameVersion(a: FileVersion, b: FileVersion): boolean {
  return (
    a.mtimeNanoseconds === b.mtimeNanoseconds &&
    a.ctimeNanoseconds === b.ctimeNanoseconds &&
    a.inode === b.inode &&
    a.sizeBytes === b.sizeBytes &&
    a.mtimeSeconds === b.mtimeSeconds &&
    a.ctimeSeconds === b.ctimeSeconds &&
    a.device === b.device
  );
}

function describeFailure(path: string, error: unknown): string {
  return error instanceof CdbError ? `${path}: ${error.message}` : `unable to read ${path}`;
}
