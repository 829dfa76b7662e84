/**
 * POSIX getopt over a table: letters cluster, an argument is glued or the next word, parsing stops at
 * the first operand, at a lone `-`, and after `--`.
 *
 * The C suite has two parsers. The "short" one knows no long option and answers every mistake with
 * the usage line; the "long" one also takes `--name` and `--name=value` and has a text for each
 * mistake. We keep the texts, accept `--name value` as well (the C tools reject it, so no working
 * command line changes), and never swallow a missing argument (networking.md, section 22,
 * item 40).
 */

import { InvalidArgument } from "./argument.ts";
import { defaultsOf } from "./table.ts";
import type { OptionForm, OptionsOf, OptionTable } from "./table.ts";

/** The parser of the C suite that a command has; "none" is a command that takes operands only. */
export type OptionFamily = "short" | "long" | "none";

/** The words every command understands besides its own options. */
export type Builtin = "help" | "version" | "explain";

export interface ParsedOptions<Table extends OptionTable> {
  readonly options: OptionsOf<Table>;
  /** The words after the options. */
  readonly operands: readonly string[];
  /** The first of --help, --version and --explain that was met. */
  readonly builtin: Builtin | undefined;
}

/** A command line that cannot be understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** Does the usage line follow the message? */
  readonly showsUsage: boolean;

  constructor(message: string, showsUsage: boolean) {
    super(message);
    this.showsUsage = showsUsage;
  }
}

/** The part of a command's declaration that parsing needs. */
export interface OptionGrammar<Table extends OptionTable> {
  readonly family: OptionFamily;
  readonly options: Table;
  /** Is --explain understood: is this a chain command? */
  readonly explains: boolean;
  /** Are options also taken from among the operands, up to `--`? Not where a program follows them. */
  readonly mixes?: boolean;
}

/** Parse the words after a command's name. Throws UsageError. */
export function parseOptions<Table extends OptionTable>(
  grammar: OptionGrammar<Table>,
  words: readonly string[],
): ParsedOptions<Table> {
  const run: Run = {
    grammar,
    words,
    at: 0,
    values: { ...defaultsOf(grammar.options) },
    builtin: undefined,
  };
  const mixed: string[] = [];
  while (run.at < words.length) {
    const word = words[run.at] ?? "";
    if (word.length < 2 || !word.startsWith("-")) {
      if (grammar.mixes !== true) break;
      mixed.push(word);
      run.at += 1;
      continue;
    }
    if (grammar.family === "none" && !isBuiltinWord(run, word) && word !== "--") break;
    run.at += 1;
    if (word === "--") break;
    if (word.startsWith("--")) takeLong(run, word.slice(2));
    else takeLetters(run, word.slice(1));
  }
  // Each value came from the fold that the table's type names.
  const options = run.values as OptionsOf<Table>;
  return { options, operands: [...mixed, ...words.slice(run.at)], builtin: run.builtin };
}

interface Run {
  readonly grammar: OptionGrammar<OptionTable>;
  readonly words: readonly string[];
  readonly values: Record<string, unknown>;
  at: number;
  builtin: Builtin | undefined;
}

function takeLetters(run: Run, letters: string): void {
  for (let at = 0; at < letters.length; at += 1) {
    const letter = letters[at] ?? "";
    const found = findForm(run, ({ short }) => short === letter);
    if (found === undefined) throw mistake(run, `unrecognized short option: ${letter}`);
    if (found.form.argument === undefined) {
      advance(run, found, "");
      continue;
    }
    const glued = letters.slice(at + 1);
    advance(run, found, glued === "" ? nextWord(run, `-${letter}`) : glued);
    return;
  }
}

function takeLong(run: Run, word: string): void {
  const equals = word.indexOf("=");
  if (equals === 0) throw mistake(run, `invalid option: --${word}`);
  if (equals < 0) takeLongWord(run, word);
  else takeLongAssignment(run, word, equals);
}

function takeLongWord(run: Run, word: string): void {
  const found = findForm(run, ({ long }) => long === word);
  if (found !== undefined) {
    advance(run, found, found.form.argument === undefined ? "" : nextWord(run, `--${word}`));
    return;
  }
  if (!isBuiltinWord(run, `--${word}`)) {
    throw mistake(run, `unrecognized boolean option: --${word}`);
  }
  run.builtin ??= word === "help" ? "help" : word === "version" ? "version" : "explain";
}

function takeLongAssignment(run: Run, word: string, equals: number): void {
  const name = word.slice(0, equals);
  const found = findForm(run, ({ long, argument }) => long === name && argument !== undefined);
  if (found === undefined) throw mistake(run, `unrecognized option with argument: --${word}`);
  advance(run, found, word.slice(equals + 1));
}

function isBuiltinWord({ grammar }: Run, word: string): boolean {
  return word === "--help" || word === "--version" || (word === "--explain" && grammar.explains);
}

interface Found {
  readonly key: string;
  readonly form: OptionForm<unknown>;
}

function findForm(run: Run, matches: (form: OptionForm<unknown>) => boolean): Found | undefined {
  for (const [key, { forms }] of Object.entries(run.grammar.options)) {
    const form = forms.find(matches);
    if (form !== undefined) return { key, form };
  }
  return undefined;
}

function nextWord(run: Run, option: string): string {
  const word = run.words[run.at];
  if (word === undefined) throw mistake(run, `option ${option} needs an argument`);
  run.at += 1;
  return word;
}

function advance(run: Run, { key, form }: Found, argument: string): void {
  try {
    run.values[key] = form.next(run.values[key], argument);
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    const name = form.long ?? `-${form.short ?? ""}`;
    throw mistake(run, `${name} ${error.message}: ${argument}`, { cause: error });
  }
}

function mistake(run: Run, message: string, options?: ErrorOptions): UsageError {
  const error = new UsageError(message, run.grammar.family !== "long");
  if (options?.cause !== undefined) error.cause = options.cause;
  return error;
}
