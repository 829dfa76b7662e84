/** Tcprules text compiled to rules of s6 (networking 10.7; docs/formats/access-rules.md). */

import { addressBits, IP4_ANY, IP6_ANY } from "../../net/index.ts";
import { decodeBytes, encodeBytes } from "../../posix/index.ts";
import { IP4_KEY, ip4Key, writeIp4Key } from "../lookup/ip4-key.ts";
import { ANY_NAME_KEY, prefixKey } from "../lookup/keys.ts";
import { isCertificateAddress, parseRuleAddress } from "./address.ts";
import {
  DENY_VALUE,
  formatAllow,
  PLAIN_ALLOW_VALUE,
  RULE_ENVIRONMENT_BYTES_MAX,
} from "../lookup/rule-value.ts";
import { ALLOW, expandRange } from "./line.ts";
import { NameRules } from "./names.ts";
import { Precedence } from "./precedence.ts";

import type { CdbWriter } from "../cdb/writer.ts";
import type { Family } from "../../net/index.ts";
import type { RuleAddress } from "./address.ts";
import type { Instruction } from "./line.ts";
import type { LineOutcome } from "./names.ts";
import type { RuleHandler } from "./parser.ts";
import type { RuleClass } from "./precedence.ts";

const NO_BYTES = new Uint8Array(0);
const NUL = Buffer.from("\0");
const EQUALS = 0x3d;
/** The byte that ends the key of a single IPv4 address. */
const LAST_DIGIT_OF_32 = 0x32;

/** A number that no address has in its text. */
const LEADING_ZERO = /(?:^|\.)0[0-9]/;

/** Records for s6. `warn` is told of rules that cannot have the effect they have in tcprules. */
export class S6Rules implements RuleHandler {
  readonly #writer: CdbWriter;
  readonly #warn: (message: string) => void;
  readonly #precedence = new Precedence();
  readonly #names = new NameRules();
  /** The lines that decide about whatever no other line does: `=` about names, the empty address about all. */
  #anyName: LineOutcome | undefined;
  #catchAll: LineOutcome | undefined;
  /** The families of which a network says so instead. */
  readonly #coveredFamilies = new Set<Family>();
  #hasAddresses = false;
  #hasCertificates = false;
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
    const text = decodeBytes(source.subarray(start, end));
    const address = parseRuleAddress(text);
    const meaning = spelledOtherwise(address, text);
    if (meaning !== undefined) {
      this.#warn(
        `line ${line}: ${text} is taken for ${meaning}, but tcpserver compares letter by letter`,
      );
    }
    if (address.kind === "certificate") this.#hasCertificates = true;
    else this.#hasAddresses = true;
    return this.#add(address, { value, allow: instruction.allow, line });
  }

  beginRule(bytes: Uint8Array, start: number): number {
    return writeIp4Key(bytes, start) ? ip4Key.end : -1;
  }

  endRule(instruction: Instruction, line: number): void {
    const value = instruction.allow ? PLAIN_ALLOW_VALUE : DENY_VALUE;
    this.#allows ||= instruction.allow;
    this.#hasAddresses = true;
    this.#writer.addSlice(IP4_KEY, 0, ip4Key.bytes, value);
    const isNetwork = IP4_KEY[ip4Key.bytes - 1] !== LAST_DIGIT_OF_32;
    if (isNetwork) this.#precedence.note("network", value, instruction.allow, line);
  }

  noColon(): string {
    return "no colon";
  }

  emptyRange(line: number, text: string): void {
    this.#warn(`line ${line} has a range without an address and is ignored: ${text}`);
  }

  /**
   * Add what depends on all lines. Throws RuleLineError where rules of s6 cannot keep the order, or cannot say
   * what is said of a name.
   */
  finish(): void {
    this.#precedence.check(this.#warn);
    const catchAll = this.#catchAll;
    // A catch-all that allows leaves no client to the names.
    if (catchAll?.allow !== true) this.#names.check(this.#anyName ?? catchAll, this.#warn);
    // Names are looked up last, and what nothing allows s6 denies anyway.
    if (catchAll !== undefined && (catchAll.allow || !this.#precedence.hasNames)) {
      for (const address of [IP4_ANY, IP6_ANY]) {
        this.#put(prefixKey({ address, bits: 0 }), catchAll.value);
      }
    }
    this.#warnOfTheRest();
  }

  /** About the clients that no line is about. */
  #warnOfTheRest(): void {
    const isDecided = this.#catchAll !== undefined || this.#coveredFamilies.size === 2;
    const isAboutCertificates = this.#hasCertificates && !this.#hasAddresses;
    if (!this.#allows) {
      this.#warn(
        `no line allows anything: every connection will be refused${isDecided ? "" : ", and tcpserver would admit those that no line is about"}`,
      );
    } else if (!isDecided && !isAboutCertificates) {
      this.#warn(
        "no line has an empty address: clients that no line is about will be refused, and tcpserver would admit them",
      );
    }
  }

  #add(address: RuleAddress, rule: LineOutcome): string | undefined {
    switch (address.kind) {
      case "invalid":
        return address.why;
      case "any":
        this.#catchAll ??= rule;
        this.#note("any", rule);
        return undefined;
      case "anyName":
        this.#anyName ??= rule;
        this.#note("domain", rule);
        this.#put(ANY_NAME_KEY, rule.value);
        return undefined;
      case "network": {
        const { prefix } = address;
        if (prefix.bits < addressBits(prefix.address.family)) this.#note("network", rule);
        if (prefix.bits === 0) this.#coveredFamilies.add(prefix.address.family);
        this.#put(prefixKey(prefix), rule.value);
        return undefined;
      }
      case "certificate":
        this.#put(address.key, rule.value);
        return undefined;
      case "host":
      case "domain":
        this.#note(address.kind, rule);
        this.#names.note(address.kind, address.name, rule);
        this.#put(`reversedns/${address.name}`, rule.value);
        return undefined;
    }
  }

  #note(ruleClass: RuleClass, { value, allow, line }: LineOutcome): void {
    this.#precedence.note(ruleClass, value, allow, line);
  }

  #put(key: string, value: Uint8Array): void {
    this.#writer.add(encodeBytes(key), value);
  }
}

/** The meaning of an address that tcprules compares letter by letter and that s6 takes for another text. */
function spelledOtherwise(address: RuleAddress, text: string): string | undefined {
  if (address.kind === "host" || address.kind === "domain") {
    const plain = `${address.kind === "host" ? "=" : "=."}${address.name}`;
    return text === plain ? undefined : plain;
  }
  const isNetwork = address.kind === "network" && address.prefix.address.family === 4;
  return isNetwork && LEADING_ZERO.test(text) ? prefixKey(address.prefix) : undefined;
}

/** The value of a rule, or why there is none. Variables of a denying line have no effect in s6. */
function s6Value(instruction: Instruction): Uint8Array | string {
  if (instruction === ALLOW) return PLAIN_ALLOW_VALUE;
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
