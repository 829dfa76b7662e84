/**
 * One line of tcprules text, `ADDRESS:INSTRUCTION`, exactly as ucspi-tcp reads it (networking 10.2 and
 * 10.3; docs/formats/access-rules.md). What an address means is left to the formats.
 */

/** The part of a line behind the colon. */
export interface Instruction {
  readonly allow: boolean;
  /** `NAME=VALUE` each, without the quotes. */
  readonly variables: readonly Uint8Array[];
}

/** The two instructions nearly every line has, each always the same object. */
export const ALLOW: Instruction = { allow: true, variables: [] };
export const DENY: Instruction = { allow: false, variables: [] };

/** A line that cannot be compiled. */
export class RuleLineError extends Error {
  override readonly name = "RuleLineError";
  /** Counted from 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const ALLOW_WORD = Buffer.from("allow");
const DENY_WORD = Buffer.from("deny");
const COMMA = 0x2c;
const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const EQUALS = 0x3d;
const AT = 0x40;
const OCTET_MAX = 255;
/** Up to this many digits a number is exact; longer ones wrap at 64 bits, as they do in C. */
const EXACT_DIGITS = 15;

/**
 * `allow` or `deny` from `at` on, then `,NAME=qVALUEq` any number of times; else the reason why this is no
 * instruction.
 */
export function parseInstruction(line: Uint8Array, at: number): Instruction | string {
  const allow = hasWordAt(line, at, ALLOW_WORD);
  if (!allow && !hasWordAt(line, at, DENY_WORD)) return "neither allow nor deny follows the colon";
  const from = at + (allow ? ALLOW_WORD : DENY_WORD).length;
  if (from === line.length) return allow ? ALLOW : DENY;
  const variables = parseVariables(line, from);
  return typeof variables === "string" ? variables : { allow, variables };
}

/** Does `allow` or `deny` stand at `at`, up to the end or a comma? */
export function isInstructionAt(line: Uint8Array, at: number): boolean {
  return [ALLOW_WORD, DENY_WORD].some((word) => {
    const end = at + word.length;
    return hasWordAt(line, at, word) && (end === line.length || line[end] === COMMA);
  });
}

/**
 * The addresses that a line's address stands for: those of the range that its first dash makes, or
 * itself where there is none. An empty range has none; undefined for a range with anything but digits
 * in it. At most 256.
 */
export function expandRange(address: Uint8Array): readonly Uint8Array[] | undefined {
  const dash = indexOfByte(address, DASH, 0);
  if (dash < 0 || address.includes(EQUALS) || address.includes(AT)) return [address];
  const lowAt = address.lastIndexOf(DOT, dash) + 1;
  const dot = address.indexOf(DOT, dash);
  const highEnd = dot < 0 ? address.length : dot;
  const low = parseNumber(address.subarray(lowAt, dash));
  const high = parseNumber(address.subarray(dash + 1, highEnd));
  if (low === undefined || high === undefined) return undefined;
  const expanded: Uint8Array[] = [];
  for (let octet = low; octet <= Math.min(high, OCTET_MAX); octet += 1) {
    const digits = Buffer.from(String(octet));
    expanded.push(Buffer.concat([address.subarray(0, lowAt), digits, address.subarray(highEnd)]));
  }
  return expanded;
}

function parseVariables(line: Uint8Array, from: number): Uint8Array[] | string {
  const variables: Uint8Array[] = [];
  for (let at = from; at < line.length;) {
    if (line[at] !== COMMA) {
      return variables.length === 0
        ? "neither allow nor deny follows the colon, up to a comma or the end"
        : "something other than a comma follows the value of a variable";
    }
    const equals = indexOfByte(line, EQUALS, at);
    const quote = line[equals + 1];
    if (equals < 0) return "a variable has no = and no value";
    if (quote === undefined) return "a variable has no value in quotes";
    const end = indexOfByte(line, quote, equals + 2);
    if (end < 0)
      return "the byte that the value of a variable begins with, its quote, does not end it";
    variables.push(unquoted(line, at + 1, equals, end));
    at = end + 1;
  }
  return variables;
}

/** `NAME=VALUE` of a `NAME=qVALUEq` that begins at `name` and whose second q is at `end`. */
function unquoted(line: Uint8Array, name: number, equals: number, end: number): Uint8Array {
  const variable = new Uint8Array(end - name - 1);
  let to = 0;
  for (let at = name; at < end; at += 1) {
    if (at === equals + 1) continue;
    variable[to] = line[at] as number;
    to += 1;
  }
  return variable;
}

/** The same as indexOf, but faster on texts of a few dozen bytes. */
function indexOfByte(bytes: Uint8Array, byte: number, from: number): number {
  for (let at = from; at < bytes.length; at += 1) if (bytes[at] === byte) return at;
  return -1;
}

/** Digits only; none at all are 0. */
function parseNumber(digits: Uint8Array): number | undefined {
  if (digits.some((digit) => digit < ZERO || digit > ZERO + 9)) return undefined;
  const text = Buffer.from(digits).toString("latin1");
  return text.length <= EXACT_DIGITS ? Number(text) : Number(BigInt.asUintN(64, BigInt(text)));
}

function hasWordAt(line: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let letter = 0; letter < word.length; letter += 1) {
    if (line[at + letter] !== word[letter]) return false;
  }
  return true;
}
