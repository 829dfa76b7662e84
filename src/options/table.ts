/**
 * Option tables: what a command accepts, declared once. Parsing, usage, `--help`, the man page,
 * completions and the reference page all come from the table.
 *
 * Every option is a fold: it starts from a value, and each time one of its forms is met on the
 * command line the value advances. So `-q`, `-Q` and `-v` can be three forms of one option, the last
 * of them winning, and a form may undo what another has done.
 */

/** One spelling of an option: a letter, a long name or both, with or without an argument. */
export interface OptionForm<T> {
  readonly short?: string;
  readonly long?: string;
  /** The name of the argument in usage texts; a form without one is boolean. */
  readonly argument?: string;
  /** What the form does, as a phrase for `--help`; the man page ends it with a full stop. */
  readonly help: string;
  /** Not in the C suite: shown as such in the manual. */
  readonly ours?: boolean;
  /** The value after this form was met. Throws InvalidArgument for an argument it cannot take. */
  next(previous: T, argument: string): T;
}

/** One option: where its value starts and the forms that advance it. */
export interface OptionSpec<T> {
  readonly initial: T;
  readonly forms: readonly OptionForm<T>[];
}

export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** The values of a table after parsing. */
export type OptionsOf<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends OptionSpec<infer Value> ? Value : never;
};

/** An argument that an option cannot take: `expected` completes "must be …". */
export class InvalidArgument extends Error {
  override readonly name = "InvalidArgument";
  readonly expected: string;

  constructor(expected: string) {
    super(`must be ${expected}`);
    this.expected = expected;
  }
}

/** What a form needs besides its argument. */
interface Spelling {
  readonly short?: string;
  readonly long?: string;
  readonly help: string;
  readonly ours?: boolean;
}

/** True once the option was met. */
export function flag(spelling: Spelling): OptionSpec<boolean> {
  return { initial: false, forms: [{ ...spelling, next: () => true }] };
}

/** Several boolean forms, each standing for a value; the last one met wins. */
export function choice<const T>(
  initial: T,
  cases: readonly (Spelling & { readonly value: T })[],
): OptionSpec<T> {
  const forms = cases.map(({ value, ...spelling }) => ({ ...spelling, next: () => value }));
  return { initial, forms };
}

/** An option with an argument; the last one met wins. */
export function value<T, I = undefined>(
  spelling: Spelling & { readonly argument: string },
  parse: (text: string) => T,
  initial?: I,
): OptionSpec<T | I> {
  // The cast states what the signature does: an absent initial value is undefined, and I is too.
  return { initial: initial as I, forms: [{ ...spelling, next: (_, text) => parse(text) }] };
}

/** An option with an argument that may be given several times; all of them count. */
export function list<T>(
  spelling: Spelling & { readonly argument: string },
  parse: (text: string) => T,
): OptionSpec<readonly T[]> {
  return {
    initial: [],
    forms: [{ ...spelling, next: (previous, text) => [...previous, parse(text)] }],
  };
}

/** An option whose forms build on each other's work. */
export function fold<T>(initial: T, forms: readonly OptionForm<T>[]): OptionSpec<T> {
  return { initial, forms };
}

/** An option in a command line that is made: none where there is nothing to say. */
export function optionWords(letter: string, argument: string | number | undefined): string[] {
  return argument === undefined ? [] : [letter, String(argument)];
}

/** The same option for a command that knows its forms by long names too, given by their letters. */
export function withLongNames<T>(
  option: OptionSpec<T>,
  names: Readonly<Record<string, string>>,
): OptionSpec<T> {
  const forms = option.forms.map((form) => {
    const long = names[form.short ?? ""];
    return long === undefined ? form : { ...form, long };
  });
  return { initial: option.initial, forms };
}
