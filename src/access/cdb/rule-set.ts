/** The rules of one version of a CDB file, in memory and checked against themselves. */

import { decodeEdits } from "../../net/index.ts";
import { decodeBytes, encodeBytes } from "../../posix/index.ts";
import { Cdb, CdbError } from "./cdb.ts";
import { parseIp4Key } from "../lookup/ip4-key.ts";
import { parsePrefixKey } from "../lookup/keys.ts";
import { PrefixIndex } from "../lookup/prefix-index.ts";
import { NetworkList, NOBODY } from "../lookup/prefix-runs.ts";
import { parseRuleValue } from "../lookup/rule-value.ts";
import { DENIED, failed, NOT_FOUND, ProbedRules } from "../lookup/rules.ts";

import type { IpAddress } from "../../net/index.ts";
import type { RuleResult, Verdict } from "../lookup/rules.ts";

/**
 * Building an index takes about as long as one step of a look-up for every record. It is built once look-ups
 * have taken so many, and some more, so never by a process that checks a single connection. A check
 * without it takes a step or two for each length of a prefix, but very many where a file was made so that
 * its keys collide.
 */
const STEPS_BEFORE_INDEX = 512;

interface Indexes {
  readonly 4: PrefixIndex;
  readonly 6: PrefixIndex;
}

export class CdbRuleSet extends ProbedRules {
  readonly #cdb: Cdb;
  #indexes: Indexes | undefined;
  readonly #stepsBeforeIndex: number;

  /** Throws CdbError where anything but a value is damaged. The bytes must not change any more. */
  constructor(bytes: Uint8Array) {
    super();
    this.#cdb = new Cdb(bytes);
    this.#stepsBeforeIndex = STEPS_BEFORE_INDEX + this.#cdb.verify();
  }

  override probe(key: string): RuleResult {
    try {
      const value = this.#cdb.find(encodeBytes(key));
      return value === undefined ? NOT_FOUND : ruleResult(value);
    } catch (error) {
      if (error instanceof CdbError) return failed(error.message);
      throw error;
    }
  }

  override checkIp(ip: IpAddress): Verdict {
    if (this.#indexes === undefined) {
      if (this.#cdb.lookupSteps < this.#stepsBeforeIndex) return super.checkIp(ip);
      this.#indexes = this.#buildIndexes();
    }
    const position = this.#indexes[ip.family].find(ip.bytes);
    if (position === undefined) return NOT_FOUND;
    const { key, value } = this.#cdb.recordAt(position);
    return withRule(ruleResult(value), decodeBytes(key));
  }

  /** The networks that probing every prefix length would find. */
  #buildIndexes(): Indexes {
    const ip4 = new NetworkList(4);
    const ip6 = new NetworkList(6);
    for (const { key, value, position } of this.#cdb.byLookup()) {
      if (!isIpKey(key)) continue;
      const owner = parseRuleValue(value).kind === "notFound" ? NOBODY : position;
      const network = parseIp4Key(key);
      if (network !== undefined) {
        ip4.addIp4(network.first, network.bits, owner);
        continue;
      }
      const prefix = parsePrefixKey(decodeBytes(key));
      if (prefix?.address.family === 6) ip6.add(prefix, owner);
    }
    return { 4: new PrefixIndex(ip4), 6: new PrefixIndex(ip6) };
  }
}

/** The result that the value of a compiled rule stands for. */
export function ruleResult(bytes: Uint8Array): RuleResult {
  const value = parseRuleValue(bytes);
  if (value.kind === "deny") return DENIED;
  if (value.kind === "notFound") return NOT_FOUND;
  if (value.kind === "error") return failed(value.why, "EINVAL");
  const edits = decodeEdits(value.environment);
  if (edits === undefined) return failed("the rule's environment is malformed", "EINVAL");
  return { kind: "allow", edits, exec: value.exec.length === 0 ? undefined : value.exec };
}

function withRule(result: RuleResult, rule: string): Verdict {
  return result.kind === "notFound" ? result : { ...result, rule };
}

/** Does the key begin with `ip`? */
function isIpKey(key: Uint8Array): boolean {
  return key[0] === 0x69 && key[1] === 0x70;
}
