/**
 * Option tables: what a command accepts, declared once. Parsing, usage, `--help`, the man page,
 * completions, the reference page and the way back from options to words all come from the table.
 *
 * Every option is a fold: it starts from a value, and each time one of its forms is met on the
 * command line the value advances. So `-q`, `-Q` and `-v` can be three forms of one option, the last
 * of them winning, and a form may undo what another has done.
 */

import type { ArgumentKind } from "./argument.ts";

/** The spelling of a form, by a letter, a long name or both, and its purpose. */
interface Spelling {
  readonly short?: string;
  readonly long?: string;
  /** A phrase for `--help` on what the form does; the man page ends it with a full stop. */
  readonly help: string;
  /** Not in the C suite: shown as such in the manual. */
  readonly ours?: boolean;
}

interface SpellingWithArgument extends Spelling {
  /** The name of the argument in usage texts. */
  readonly argument: string;
  /** Is the argument glued to the letter where words are made of options: `-v2` rather than `-v 2`? */
  readonly glued?: boolean;
}

/** One form of an option, with or without an argument. */
export interface OptionForm<T> extends Spelling {
  /** The name of the argument in usage texts; a form without one is boolean. */
  readonly argument?: string;
  /** As in SpellingWithArgument. */
  readonly glued?: boolean;
  /** The value after this form was met. Throws InvalidArgument for an argument it cannot take. */
  next(previous: T, argument: string): T;
}

/** A form as it is written: by its letter, or by its long name, and with its argument if it takes one. */
export type OptionUse = readonly [name: string, argument?: string];

/** One option: where its value starts, the forms that advance it, and the way back. */
export interface OptionSpec<T> {
  readonly initial: T;
  readonly forms: readonly OptionForm<T>[];
  /** The forms that lead from the initial value to this one. */
  say(value: T): readonly OptionUse[];
}

export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** The values of a table after parsing. */
export type OptionsOf<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends OptionSpec<infer Value> ? Value : never;
};

/** True once the option was met. */
export function flag(spelling: Spelling): OptionSpec<boolean> {
  return choice(false, [{ ...spelling, value: true }]);
}

/** Several boolean forms, each standing for a value; the last one met wins. */
export function choice<const T>(
  initial: T,
  cases: readonly (Spelling & { readonly value: T })[],
): OptionSpec<T> {
  return {
    initial,
    forms: cases.map(({ value, ...spelling }) => ({ ...spelling, next: () => value })),
    say: (wanted) => {
      const found = cases.find((one) => Object.is(one.value, wanted));
      return found === undefined ? [] : [[nameOf(found)]];
    },
  };
}

/** An option with an argument; the last one met wins. */
export function value<T, I = undefined>(
  spelling: SpellingWithArgument,
  kind: ArgumentKind<T>,
  initial?: I,
): OptionSpec<T | I> {
  return {
    // The cast states what the signature does: an absent initial value is undefined, and I is too.
    initial: initial as I,
    forms: [{ ...spelling, next: (_, text) => kind.parse(text) }],
    // The initial value needs no words, and any other came from an argument.
    say: (wanted) => [[nameOf(spelling), kind.format(wanted as T)]],
  };
}

/** An option with an argument that may be given several times; all of them count. */
export function list<T>(
  spelling: SpellingWithArgument,
  kind: ArgumentKind<T>,
): OptionSpec<readonly T[]> {
  return {
    initial: [],
    forms: [{ ...spelling, next: (previous, text) => [...previous, kind.parse(text)] }],
    say: (wanted) => wanted.map((one) => [nameOf(spelling), kind.format(one)]),
  };
}

/** A path under the name of what it leads to: `{ directory: path }` or `{ cdb: path }`, for instance. */
export type PathOfKind<Kind extends string> = {
  readonly [K in Kind]: { readonly [Name in K]: string };
}[Kind];

/** Several forms with a path as their argument, each for another kind of path; the last one met wins. */
export function pathOfKind<const Kind extends string>(
  cases: readonly (SpellingWithArgument & { readonly kind: Kind })[],
): OptionSpec<PathOfKind<Kind> | undefined> {
  return {
    initial: undefined,
    forms: cases.map(({ kind, ...spelling }) => ({
      ...spelling,
      // The one property is what the type says for this kind.
      next: (_, path) => ({ [kind]: path }) as PathOfKind<Kind>,
    })),
    say(wanted) {
      const paths = new Map<string, string>(Object.entries(wanted ?? {}));
      return cases.flatMap((one) => {
        const path = paths.get(one.kind);
        return path === undefined ? [] : [[nameOf(one), path] as const];
      });
    },
  };
}

/** An option whose forms build on each other's work; `say` is asked about values they lead to. */
export function fold<T>(
  initial: T,
  forms: readonly OptionForm<T>[],
  say: (value: T) => readonly OptionUse[],
): OptionSpec<T> {
  return { initial, forms, say };
}

/** The same options for a command that knows their forms by long names too, given by their letters. */
export function withLongNames<Table extends OptionTable>(
  table: Table,
  names: Readonly<Record<string, string>>,
): Table {
  const respell = (form: OptionForm<unknown>): OptionForm<unknown> => {
    const long = names[form.short ?? ""];
    return long === undefined ? form : { ...form, long };
  };
  const options = Object.entries(table).map(([key, option]) => {
    return [key, { ...option, forms: option.forms.map(respell) }] as const;
  });
  // Spellings are no part of the type.
  return Object.fromEntries(options) as OptionTable as Table;
}

/** The same option with one more form, which gives it its initial value again. */
export function undoneBy<T>(option: OptionSpec<T>, spelling: Spelling): OptionSpec<T> {
  return { ...option, forms: [...option.forms, { ...spelling, next: () => option.initial }] };
}

/**
 * The same option for a command that passes it on to another: undefined until it is met, so that what
 * is the default there is passed on only where it was said.
 */
export function passedOn<T>(option: OptionSpec<T>): OptionSpec<T | undefined> {
  return {
    initial: undefined,
    forms: option.forms.map((form) => ({
      ...form,
      next: (previous, text) => form.next(previous ?? option.initial, text),
    })),
    say: (wanted) => (wanted === undefined ? [] : option.say(wanted)),
  };
}

/** The options of a command that is told nothing. */
export function defaultsOf<Table extends OptionTable>(table: Table): OptionsOf<Table> {
  const initial = Object.entries(table).map(([key, option]) => [key, option.initial] as const);
  // Each value is that of the option with the same key.
  return Object.fromEntries(initial) as OptionsOf<Table>;
}

/** Some options of a table, in the order of the keys. */
export function pick<Table extends OptionTable, const Key extends keyof Table>(
  table: Table,
  ...keys: readonly Key[]
): Pick<Table, Key> {
  // Each of the keys is there, and nothing else is.
  return Object.fromEntries(keys.map((key) => [key, table[key]])) as Pick<Table, Key>;
}

function nameOf({ short, long = "" }: Spelling): string {
  return short ?? long;
}
