/**
 * Tcprules text as a stream: cuts chunks of any size into lines and lines into address and
 * instruction. Plain lines (`1.2.3.4:allow`) take a short way, on which the handler reads each byte of
 * an address just once; all others go through the grammar of tcprules-line.ts.
 */

import { decodeBytes } from "../../posix/index.ts";
import { ALLOW, DENY, isInstructionAt, parseInstruction, RuleLineError } from "./line.ts";

import type { Instruction } from "./line.ts";

/** The compiler that the lines are passed to. */
export interface RuleHandler {
  /** The addresses that one stands for, which may be a range; undefined when it is malformed. */
  expand(address: Uint8Array): readonly Uint8Array[] | undefined;
  /**
   * A rule for the address `source[start..end)`, which is good during the call only. The answer is
   * why it cannot be compiled, undefined when it was.
   */
  rule(
    source: Uint8Array,
    start: number,
    end: number,
    instruction: Instruction,
    line: number,
  ): string | undefined;
  /**
   * Begin a rule with the address that begins at `start`, provided that it is one of the simple ones
   * most lines have: where the colon behind it is, or -1. What is begun need not be ended.
   */
  beginRule(bytes: Uint8Array, start: number): number;
  /** End the rule that was begun; it has no variables. */
  endRule(instruction: Instruction, line: number): void;
  /** A line that is no comment, not empty and has no colon. The answer is as that of `rule`. */
  noColon(line: number, text: string): string | undefined;
  /** A line whose range has no address in it: `5-1.` and `300-310.` stand for none. */
  emptyRange(line: number, text: string): void;
}

/**
 * Which colon ends the address: the first one, as in ucspi-tcp, or the first that `allow` or `deny`
 * follows, so that IPv6 addresses can be written.
 */
export type AddressEnd = "firstColon" | "instruction";

/** Far past any sensible line; without a bound a file of no lines would fill the memory. */
const RULE_LINE_BYTES_MAX = 1 << 20;

const NEWLINE = 0x0a;
const COLON = 0x3a;
const HASH = 0x23;
const SPACE = 0x20;
const TAB = 0x09;

export class RuleTextParser {
  readonly #handler: RuleHandler;
  readonly #addressEnd: AddressEnd;
  #line = 0;
  /** A line whose end has not come yet. */
  #pending = new Uint8Array(256);
  #pendingBytes = 0;

  constructor(addressEnd: AddressEnd, handler: RuleHandler) {
    this.#addressEnd = addressEnd;
    this.#handler = handler;
  }

  /** The number of lines that were read. */
  get lines(): number {
    return this.#line;
  }

  /** Take the next bytes of the text. Throws RuleLineError. */
  push(chunk: Uint8Array): void {
    let from = 0;
    if (this.#pendingBytes > 0) {
      const newline = chunk.indexOf(NEWLINE);
      from = newline < 0 ? chunk.length : newline + 1;
      this.#keep(chunk.subarray(0, newline < 0 ? chunk.length : newline));
      if (newline < 0) return;
      this.#endPending();
    }
    const done = this.#parseLines(chunk, from);
    if (done < chunk.length) this.#keep(chunk.subarray(done));
  }

  /** The text is complete; its last line may lack a newline. Throws RuleLineError. */
  end(): void {
    if (this.#pendingBytes > 0) this.#endPending();
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#pendingBytes + bytes.length;
    if (needed > RULE_LINE_BYTES_MAX) {
      throw new RuleLineError(
        this.#line + 1,
        `line ${this.#line + 1} is longer than ${RULE_LINE_BYTES_MAX} bytes`,
      );
    }
    if (needed > this.#pending.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = larger;
    }
    this.#pending.set(bytes, this.#pendingBytes);
    this.#pendingBytes = needed;
  }

  #endPending(): void {
    const bytes = this.#pendingBytes;
    this.#pendingBytes = 0;
    this.#line += 1;
    this.#parseLine(this.#pending.subarray(0, bytes));
  }

  /** Parse all complete lines; where the incomplete one begins. */
  #parseLines(bytes: Uint8Array, from: number): number {
    let start = from;
    while (start < bytes.length) {
      let next = this.#parsePlainLine(bytes, start);
      if (next < 0) {
        const newline = bytes.indexOf(NEWLINE, start);
        if (newline < 0) return start;
        next = newline + 1;
        this.#line += 1;
        this.#parseLine(bytes.subarray(start, newline));
      }
      start = next;
    }
    return start;
  }

  /** The short way: where the next line begins, or -1 when this one is not plain, or not whole. */
  #parsePlainLine(bytes: Uint8Array, start: number): number {
    const colon = this.#handler.beginRule(bytes, start);
    if (colon < 0) return -1;
    if (bytes[colon + 6] === NEWLINE && isAllowAt(bytes, colon + 1)) {
      this.#line += 1;
      this.#handler.endRule(ALLOW, this.#line);
      return colon + 7;
    }
    if (bytes[colon + 5] === NEWLINE && isDenyAt(bytes, colon + 1)) {
      this.#line += 1;
      this.#handler.endRule(DENY, this.#line);
      return colon + 6;
    }
    return -1;
  }

  /** Any line, without its newline. */
  #parseLine(untrimmed: Uint8Array): void {
    if (untrimmed[0] === HASH) return;
    const line = trimEnd(untrimmed);
    if (line.length === 0) return;
    const colon = this.#findSeparator(line);
    if (colon < 0 && !line.includes(COLON)) {
      this.#refuseIf(this.#handler.noColon(this.#line, decodeBytes(line)), line);
      return;
    }
    const from = colon < 0 ? line.lastIndexOf(COLON) : colon;
    const instruction = parseInstruction(line, from + 1);
    if (typeof instruction === "string") throw this.#refusal(line, instruction);
    const addresses = this.#handler.expand(line.subarray(0, from));
    if (addresses === undefined) throw this.#refusal(line, "a range is not of two numbers");
    if (addresses.length === 0) this.#handler.emptyRange(this.#line, decodeBytes(line));
    for (const address of addresses) {
      const why = this.#handler.rule(address, 0, address.length, instruction, this.#line);
      this.#refuseIf(why, line);
    }
  }

  #refuseIf(why: string | undefined, line: Uint8Array): void {
    if (why !== undefined) throw this.#refusal(line, why);
  }

  /** The text up to the parenthesis is that of ucspi-tcp. */
  #refusal(line: Uint8Array, why: string): RuleLineError {
    const text = `unable to parse this line: ${decodeBytes(line)} (line ${this.#line}: ${why})`;
    return new RuleLineError(this.#line, text);
  }

  #findSeparator(line: Uint8Array): number {
    let colon = line.indexOf(COLON);
    if (this.#addressEnd === "firstColon") return colon;
    while (colon >= 0 && !isInstructionAt(line, colon + 1)) colon = line.indexOf(COLON, colon + 1);
    return colon;
  }
}

function isAllowAt(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x61 &&
    bytes[at + 1] === 0x6c &&
    bytes[at + 2] === 0x6c &&
    bytes[at + 3] === 0x6f &&
    bytes[at + 4] === 0x77
  );
}

function isDenyAt(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x64 && bytes[at + 1] === 0x65 && bytes[at + 2] === 0x6e && bytes[at + 3] === 0x79
  );
}

function trimEnd(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && (line[end - 1] === SPACE || line[end - 1] === TAB)) end -= 1;
  return end === line.length ? line : line.subarray(0, end);
}
