/** Tcprules text compiled to rules of s6 (networking 10.7; docs/formats/access-rules.md). */

import { addressBits, IP4_ANY, IP6_ANY } from "../../net/index.ts";
import { decodeBytes, encodeBytes } from "../../posix/index.ts";
import { IP4_KEY, ip4Key, writeIp4Key } from "../lookup/ip4-key.ts";
import { ANY_NAME_KEY, prefixKey } from "../lookup/keys.ts";
import { isCertificateAddress, parseRuleAddress } from "./address.ts";
import { DENY_VALUE, formatAllow, RULE_ENVIRONMENT_BYTES_MAX } from "../lookup/rule-value.ts";
import { ALLOW, expandRange } from "./line.ts";
import { Precedence } from "./precedence.ts";

import type { CdbWriter } from "../cdb/writer.ts";
import type { RuleAddress } from "./address.ts";
import type { Instruction } from "./line.ts";
import type { RuleHandler } from "./parser.ts";
import type { RuleClass } from "./precedence.ts";

const NO_BYTES = new Uint8Array(0);
const ALLOW_VALUE = formatAllow(NO_BYTES, NO_BYTES);
const NUL = Buffer.from("\0");
const EQUALS = 0x3d;
/** The byte that ends the key of a single IPv4 address. */
const LAST_DIGIT_OF_32 = 0x32;

interface NameRule {
  readonly kind: "host" | "domain";
  readonly value: Uint8Array;
}

interface S6Rule {
  readonly value: Uint8Array;
  readonly allow: boolean;
  readonly line: number;
}

/** Records for s6. `warn` is told of rules that cannot have the effect they have in tcprules. */
export class S6Rules implements RuleHandler {
  readonly #writer: CdbWriter;
  readonly #warn: (message: string) => void;
  readonly #precedence = new Precedence();
  readonly #names = new Map<string, NameRule>();
  #catchAll: S6Rule | undefined;
  #allows = false;

  constructor(writer: CdbWriter, warn: (message: string) => void) {
    this.#writer = writer;
    this.#warn = warn;
  }

  expand(address: Uint8Array): readonly Uint8Array[] | undefined {
    return isCertificateAddress(address) ? [address] : expandRange(address);
  }

  rule(
    source: Uint8Array,
    start: number,
    end: number,
    instruction: Instruction,
    line: number,
  ): string | undefined {
    const value = s6Value(instruction);
    if (typeof value === "string") return value;
    this.#allows ||= instruction.allow;
    const address = parseRuleAddress(decodeBytes(source.subarray(start, end)));
    return this.#add(address, { value, allow: instruction.allow, line });
  }

  beginRule(bytes: Uint8Array, start: number): number {
    return writeIp4Key(bytes, start) ? ip4Key.end : -1;
  }

  endRule(instruction: Instruction, line: number): void {
    const value = instruction.allow ? ALLOW_VALUE : DENY_VALUE;
    this.#allows ||= instruction.allow;
    this.#writer.addSlice(IP4_KEY, 0, ip4Key.bytes, value);
    const isNetwork = IP4_KEY[ip4Key.bytes - 1] !== LAST_DIGIT_OF_32;
    if (isNetwork) this.#precedence.note("network", value, instruction.allow, line);
  }

  noColon(): string {
    return "no colon";
  }

  /** Add what depends on all lines. Throws RuleLineError where s6 rules cannot keep the order. */
  finish(): void {
    this.#precedence.check(this.#warn);
    const catchAll = this.#catchAll;
    // Names are looked up last, and what nothing allows s6 denies anyway.
    if (catchAll !== undefined && (catchAll.allow || !this.#precedence.hasNames)) {
      for (const address of [IP4_ANY, IP6_ANY]) {
        this.#put(prefixKey({ address, bits: 0 }), catchAll.value);
      }
    }
    if (!this.#allows) this.#warn("no line allows anything: every connection will be refused");
  }

  #add(address: RuleAddress, rule: S6Rule): string | undefined {
    switch (address.kind) {
      case "invalid":
        return address.why;
      case "any":
        this.#catchAll ??= rule;
        this.#note("any", rule);
        return undefined;
      case "anyName":
        this.#note("domain", rule);
        this.#put(ANY_NAME_KEY, rule.value);
        return undefined;
      case "network": {
        const { prefix } = address;
        if (prefix.bits < addressBits(prefix.address.family)) this.#note("network", rule);
        this.#put(prefixKey(prefix), rule.value);
        return undefined;
      }
      case "certificate":
        this.#put(address.key, rule.value);
        return undefined;
      case "host":
      case "domain":
        this.#note(address.kind, rule);
        return this.#addName(address.kind, address.name, rule.value);
    }
  }

  #note(ruleClass: RuleClass, { value, allow, line }: S6Rule): void {
    this.#precedence.note(ruleClass, value, allow, line);
  }

  /** `=host` and `=.host` are the same to s6, so they must say the same. */
  #addName(kind: "host" | "domain", name: string, value: Uint8Array): string | undefined {
    const earlier = this.#names.get(name);
    if (earlier === undefined) {
      this.#names.set(name, { kind, value });
    } else if (earlier.kind !== kind && Buffer.compare(earlier.value, value) !== 0) {
      return `s6 does not distinguish =${name} from =.${name}, and an earlier line decides otherwise`;
    }
    this.#put(`reversedns/${name}`, value);
    return undefined;
  }

  #put(key: string, value: Uint8Array): void {
    this.#writer.add(encodeBytes(key), value);
  }
}

/** The value of a rule, or why there is none. Variables of a denying line have no effect in s6. */
function s6Value(instruction: Instruction): Uint8Array | string {
  if (instruction === ALLOW) return ALLOW_VALUE;
  if (!instruction.allow) return DENY_VALUE;
  for (const variable of instruction.variables) {
    if (variable[0] === EQUALS) return "a variable has no name";
    if (variable.includes(0)) return "a variable has a NUL in it";
  }
  const environment = Buffer.concat(instruction.variables.flatMap((one) => [one, NUL]));
  if (environment.length > RULE_ENVIRONMENT_BYTES_MAX) {
    return `${environment.length} bytes of variables, a rule holds ${RULE_ENVIRONMENT_BYTES_MAX}`;
  }
  return formatAllow(environment, NO_BYTES);
}
