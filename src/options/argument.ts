/** The kinds of arguments that options take, from text to value and back (networking.md, section 2). */

/** A kind of argument. `format` is the way back: what it writes is parsed to the value again. */
export interface ArgumentKind<T> {
  /** Throws InvalidArgument for text that is none of this kind. */
  parse(text: string): T;
  format(value: T): string;
}

/** An argument that an option cannot take: `expected` completes "must be …". */
export class InvalidArgument extends Error {
  override readonly name = "InvalidArgument";
  readonly expected: string;

  constructor(expected: string) {
    super(`must be ${expected}`);
    this.expected = expected;
  }
}

export const UINT32_MAX = 0xffff_ffff;

/** Milliseconds are a signed 32-bit number to the C suite; more is refused rather than misread. */
const MILLISECONDS_MAX = 0x7fff_ffff;

/** A kind by a function that tells what is not of it by `undefined`; `expected` names the kind. */
export function parsedBy<T>(
  parse: (text: string) => T | undefined,
  expected: string,
  format: (value: T) => string = String,
): ArgumentKind<T> {
  return {
    format,
    parse(text) {
      const value = parse(text);
      if (value === undefined) throw new InvalidArgument(expected);
      return value;
    },
  };
}

/** Text that passes a check; `expected` names what does. */
export function textThat(
  isFine: (text: string) => boolean,
  expected: string,
): ArgumentKind<string> {
  return parsedBy((text) => (isFine(text) ? text : undefined), expected);
}

/** Any text. */
export const text: ArgumentKind<string> = textThat(() => true, "text");

/** Text that is not empty; `expected` names what it is. */
export function nonEmptyText(expected: string): ArgumentKind<string> {
  return textThat((argument) => argument !== "", expected);
}

/** Decimal digits only, at most 2^32 - 1. */
export const unsigned: ArgumentKind<number> = {
  parse: (argument) => wholeNumber(argument, UINT32_MAX, "an unsigned integer"),
  format: String,
};

/** The same, where 0 stands for 1. */
export const atLeastOne: ArgumentKind<number> = {
  parse: (argument) => Math.max(1, unsigned.parse(argument)),
  format: String,
};

/** A duration in milliseconds; 0 means no limit and becomes undefined. */
export const milliseconds: ArgumentKind<number | undefined> = {
  parse: (argument) => wholeMilliseconds(argument) || undefined,
  format: (ms = 0) => String(ms),
};

/** A duration in milliseconds, where 0 is a duration like others or has a meaning of its own. */
export const millisecondsOrZero: ArgumentKind<number> = {
  parse: (argument) => wholeMilliseconds(argument),
  format: String,
};

/** A duration in milliseconds, where 0 is "without end" and becomes Infinity. */
export const millisecondsOrForever: ArgumentKind<number> = {
  parse: (argument) => wholeMilliseconds(argument) || Infinity,
  format: (ms) => (ms === Infinity ? "0" : String(ms)),
};

/** A duration in whole seconds; 0 means no limit and becomes undefined. The value is in milliseconds. */
export const seconds: ArgumentKind<number | undefined> = {
  parse(argument) {
    const most = Math.floor(MILLISECONDS_MAX / 1000);
    return wholeNumber(argument, most, "an unsigned integer of seconds") * 1000 || undefined;
  },
  format: (ms = 0) => String(ms / 1000),
};

/** A descriptor number. */
export const descriptorNumber: ArgumentKind<number> = {
  parse: (argument) => wholeNumber(argument, MILLISECONDS_MAX, "a descriptor number"),
  format: String,
};

/** A descriptor number that is none of 0, 1 and 2. */
export const descriptorAbove2: ArgumentKind<number> = {
  parse(argument) {
    const fd = descriptorNumber.parse(argument);
    if (fd < 3) throw new InvalidArgument("a descriptor number of at least 3");
    return fd;
  },
  format: String,
};

/** Permissions of a file in octal, up to 7777. */
export const octalMode: ArgumentKind<number> = parsedBy(
  (argument) => (/^0*[0-7]{1,4}$/.test(argument) ? Number.parseInt(argument, 8) : undefined),
  "an octal file mode",
  (mode) => mode.toString(8),
);

/** One of a few words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): ArgumentKind<Word> {
  return parsedBy(
    (argument) => words.find((word) => word === argument),
    `one of ${words.join(", ")}`,
  );
}

function wholeMilliseconds(argument: string): number {
  return wholeNumber(argument, MILLISECONDS_MAX, "an unsigned integer of milliseconds");
}

function wholeNumber(argument: string, most: number, expected: string): number {
  if (!/^[0-9]+$/.test(argument)) throw new InvalidArgument(expected);
  const number = Number(argument);
  if (number > most) throw new InvalidArgument(`${expected} up to ${most}`);
  return number;
}
