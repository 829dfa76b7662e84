/** Tcprules text compiled to rules of s6 (networking 10.7; docs/formats/access-rules.md). */

import { addressBits, IP4_ANY, IP6_ANY } from "../net/index.ts";
import { decodeBytes, encodeBytes } from "../posix/index.ts";
import { IP4_KEY, ip4Key, writeIp4Key } from "./ip4-key.ts";
import { ANY_NAME_KEY, prefixKey } from "./keys.ts";
import { parseRuleAddress } from "./rule-address.ts";
import { DENY_VALUE, formatAllow, RULE_ENVIRONMENT_BYTES_MAX } from "./rule-value.ts";
import { ALLOW, RuleLineError } from "./tcprules-line.ts";
import { Precedence } from "./tcprules-precedence.ts";

import type { CdbWriter } from "./cdb-writer.ts";
import type { RuleAddress } from "./rule-address.ts";
import type { Instruction } from "./tcprules-line.ts";
import type { RuleHandler } from "./tcprules-parser.ts";

const NO_BYTES = new Uint8Array(0);
const ALLOW_VALUE = formatAllow(NO_BYTES, NO_BYTES);
const NUL = Buffer.from("\0");
const EQUALS = 0x3d;
/** What ends the key of a single IPv4 address. */
const LAST_DIGIT_OF_32 = 0x32;

interface NameRule {
  readonly kind: "host" | "domain";
  readonly value: Uint8Array;
}

interface CatchAll {
  readonly value: Uint8Array;
  readonly allow: boolean;
}

/** Records for s6. `warn` is told of rules that cannot have the effect they have in tcprules. */
export class S6Rules implements RuleHandler {
  readonly #writer: CdbWriter;
  readonly #warn: (message: string) => void;
  readonly #precedence = new Precedence();
  readonly #names = new Map<string, NameRule>();
  #catchAll: CatchAll | undefined;
  #allows = false;

  constructor(writer: CdbWriter, warn: (message: string) => void) {
    this.#writer = writer;
    this.#warn = warn;
  }

  rule(
    source: Uint8Array,
    start: number,
    end: number,
    instruction: Instruction,
    line: number,
  ): void {
    const value = s6Value(instruction, line);
    this.#allows ||= instruction.allow;
    const text = decodeBytes(source.subarray(start, end));
    this.#add(parseRuleAddress(text), text, { value, allow: instruction.allow, line });
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

  noColon(line: number, text: string): void {
    throw new RuleLineError(line, `unable to parse this line: ${text} (line ${line}: no colon)`);
  }

  /** Add what depends on all lines. Throws RuleLineError where s6 rules cannot keep the order. */
  finish(): void {
    this.#precedence.check(this.#warn);
    const catchAll = this.#catchAll;
    // Names are looked at last, and what nothing allows s6 denies anyway.
    if (catchAll !== undefined && (catchAll.allow || !this.#precedence.hasNames)) {
      for (const address of [IP4_ANY, IP6_ANY]) {
        this.#put(prefixKey({ address, bits: 0 }), catchAll.value);
      }
    }
    if (!this.#allows) this.#warn("no line allows anything: every connection will be refused");
  }

  #add(
    address: RuleAddress,
    text: string,
    rule: { readonly value: Uint8Array; readonly allow: boolean; readonly line: number },
  ): void {
    const { value, allow, line } = rule;
    switch (address.kind) {
      case "invalid":
        throw new RuleLineError(
          line,
          `unable to parse this line: ${text}: (line ${line}: ${address.why})`,
        );
      case "any":
        this.#catchAll ??= { value, allow };
        this.#precedence.note("any", value, allow, line);
        return;
      case "anyName":
        this.#precedence.note("domain", value, allow, line);
        this.#put(ANY_NAME_KEY, value);
        return;
      case "network": {
        const { prefix } = address;
        const isNetwork = prefix.bits < addressBits(prefix.address.family);
        if (isNetwork) this.#precedence.note("network", value, allow, line);
        this.#put(prefixKey(prefix), value);
        return;
      }
      case "host":
      case "domain":
        this.#addName(address.kind, address.name, value, line);
        this.#precedence.note(address.kind, value, allow, line);
    }
  }

  /** `=host` and `=.host` are the same to s6, so they must say the same. */
  #addName(kind: "host" | "domain", name: string, value: Uint8Array, line: number): void {
    const earlier = this.#names.get(name);
    if (earlier === undefined) {
      this.#names.set(name, { kind, value });
    } else if (earlier.kind !== kind && Buffer.compare(earlier.value, value) !== 0) {
      throw new RuleLineError(
        line,
        `line ${line}: s6 does not tell =${name} from =.${name}, and an earlier line says otherwise`,
      );
    }
    this.#put(`reversedns/${name}`, value);
  }

  #put(key: string, value: Uint8Array): void {
    this.#writer.add(encodeBytes(key), value);
  }
}

/** Variables of a denying line have no place in s6 rules, nor any effect. */
function s6Value(instruction: Instruction, line: number): Uint8Array {
  if (instruction === ALLOW) return ALLOW_VALUE;
  if (!instruction.allow) return DENY_VALUE;
  for (const variable of instruction.variables) checkVariable(variable, line);
  const environment = Buffer.concat(instruction.variables.flatMap((one) => [one, NUL]));
  if (environment.length > RULE_ENVIRONMENT_BYTES_MAX) {
    throw new RuleLineError(
      line,
      `line ${line} sets ${environment.length} bytes of variables, a rule holds ${RULE_ENVIRONMENT_BYTES_MAX}`,
    );
  }
  return formatAllow(environment, NO_BYTES);
}

function checkVariable(variable: Uint8Array, line: number): void {
  if (variable[0] === EQUALS || variable.includes(0)) {
    throw new RuleLineError(
      line,
      `line ${line} sets a variable without a name or with a NUL in it: ${decodeBytes(variable)}`,
    );
  }
}
