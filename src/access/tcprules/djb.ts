/**
 * Tcprules text compiled as ucspi-tcp compiles it, for tcpserver and its kin: keys are the addresses
 * as they stand, values `[D\0](+NAME=VALUE\0)*` (networking 10.4).
 */

import { ALLOW, DENY, expandRange } from "./line.ts";

import type { CdbWriter } from "../cdb/writer.ts";
import type { Instruction } from "./line.ts";
import type { RuleHandler } from "./parser.ts";

const ALLOW_VALUE = new Uint8Array(0);
const DENY_VALUE = Buffer.from("D\0");
const PLUS = 0x2b;

/** The bytes that end a plain address, and those that no plain address has. */
const STOPS = new Uint8Array(256);
for (const byte of Buffer.from(":-#\n")) STOPS[byte] = 1;
const COLON = 0x3a;

/** Records for ucspi-tcp. `warn` is told of the lines that have no effect. */
export class DjbRules implements RuleHandler {
  readonly #writer: CdbWriter;
  readonly #warn: (message: string) => void;

  constructor(writer: CdbWriter, warn: (message: string) => void) {
    this.#writer = writer;
    this.#warn = warn;
  }

  expand(address: Uint8Array): readonly Uint8Array[] | undefined {
    return expandRange(address);
  }

  rule(source: Uint8Array, start: number, end: number, instruction: Instruction): undefined {
    this.#writer.addSlice(source, start, end, djbValue(instruction));
    return undefined;
  }

  beginRule(bytes: Uint8Array, start: number): number {
    const stop = this.#writer.beginKey(bytes, start, STOPS);
    return bytes[stop] === COLON ? stop : -1;
  }

  endRule(instruction: Instruction): void {
    this.#writer.endRecord(djbValue(instruction));
  }

  noColon(line: number, text: string): undefined {
    this.#warn(`line ${line} has no colon and is ignored: ${text}`);
    return undefined;
  }

  emptyRange(line: number, text: string): void {
    this.#warn(`line ${line} has a range without an address and is ignored: ${text}`);
  }

  /** Nothing is left to say once all lines are in. */
  finish(): void {}
}

function djbValue(instruction: Instruction): Uint8Array {
  if (instruction === ALLOW) return ALLOW_VALUE;
  if (instruction === DENY) return DENY_VALUE;
  const start = instruction.allow ? ALLOW_VALUE : DENY_VALUE;
  const bytes = instruction.variables.reduce((sum, { length }) => sum + length + 2, start.length);
  const value = new Uint8Array(bytes);
  value.set(start);
  let to = start.length;
  for (const variable of instruction.variables) {
    value[to] = PLUS;
    value.set(variable, to + 1);
    to += variable.length + 2; // The NUL at the end is there already.
  }
  return value;
}
