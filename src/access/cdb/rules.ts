/**
 * Rules kept in a CDB file that may be replaced at any time. Before each check one stat(2) tells
 * whether the file in memory is still the one on disk; only then is it read again. While the file is
 * missing, unreadable or damaged every check is an error, so clients are refused; the rules before are
 * never used in its place.
 */

import { errnoOf, lookAt, stillHolds, UnfitFile } from "../../posix/index.ts";
import { CdbRuleSet } from "./rule-set.ts";
import { CdbError } from "./cdb.ts";
import { readCdbFile } from "./read-file.ts";
import { failed } from "../lookup/rules.ts";

import type { IpAddress } from "../../net/index.ts";
import type { Look, LookingPosix, ReadingPosix } from "../../posix/index.ts";
import type { ClientCertificate } from "../lookup/client-certificate.ts";
import type { LocalPeer } from "../lookup/keys.ts";
import type { CertificateRules, Failed, RuleResult, Verdict } from "../lookup/rules.ts";

/** The rules that were read, and the version of the file before. */
interface Snapshot {
  readonly rules: CdbRuleSet | Failed;
  readonly look: Look;
  readonly bytes: Buffer | undefined;
}

export class CdbRules implements CertificateRules {
  readonly #posix: LookingPosix & ReadingPosix;
  readonly #path: string;
  #snapshot: Snapshot | undefined;

  constructor(posix: LookingPosix & ReadingPosix, path: string) {
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
    return last !== undefined && stillHolds(last.look, version) ? last.rules : this.#reload();
  }

  /** A failed system call is tried again at the next check; a damaged file not until it changes. */
  #reload(): CdbRuleSet | Failed {
    const look = lookAt(this.#posix, this.#path);
    let bytes: Buffer | undefined;
    let rules: CdbRuleSet | Failed;
    try {
      bytes = readCdbFile(this.#posix, this.#path);
      rules = this.#rulesOf(bytes);
    } catch (error) {
      rules = failed(describeFailure(this.#path, error), errnoOf(error));
      if (!(error instanceof CdbError)) {
        this.#snapshot = undefined;
        return rules;
      }
    }
    this.#snapshot = { rules, look, bytes };
    return rules;
  }

  /** The rules in memory where the bytes are those they came from, which spares a new index. */
  #rulesOf(bytes: Buffer): CdbRuleSet {
    const last = this.#snapshot;
    const isSame = last?.bytes !== undefined && !("kind" in last.rules) && bytes.equals(last.bytes);
    return isSame && !("kind" in last.rules) ? last.rules : new CdbRuleSet(bytes);
  }
}

function describeFailure(path: string, error: unknown): string {
  if (error instanceof CdbError) return `${path}: ${error.message}`;
  if (error instanceof UnfitFile && error.reason === "not a regular file") {
    return `${path} is not a regular file`;
  }
  return `unable to read ${path}`;
}
