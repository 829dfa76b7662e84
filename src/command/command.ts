/**
 * What a command is to the launcher, the manual and the completions: a declaration, and a function
 * that gets the world handed in. A chain command is a link under its own name; its function is the
 * interpreter of chains.
 */

import { linkSynopsis } from "../chain/index.ts";
import type { Environment, Link, LinkContext } from "../chain/index.ts";
import { formatSynopsis } from "../options/index.ts";
import type { OptionFamily, OptionsOf, OptionTable } from "../options/index.ts";

/** The world of a command: the same as a link's, and the ends of the process. */
export interface CommandContext extends LinkContext {
  /** The Node that runs: its file, its version (`v20.18.0`) and the processor it is for (`x64`). */
  readonly node: { readonly file: string; readonly version: string; readonly processor: string };
  /** The environment the command was started with. */
  readonly environment: Environment;
  /** Standard input, read whole; `mostBytes` is the ceiling above which it throws. */
  readInput(mostBytes: number): Uint8Array;
  /** Write to standard output; throws Fatal (111) when that fails. */
  print(text: string): void;
}

export interface Command<Table extends OptionTable = OptionTable> {
  readonly name: string;
  readonly summary: string;
  readonly family: OptionFamily;
  readonly options: Table;
  /** The operands as the usage line shows them: `cdbfile dir`. */
  readonly operands: string;
  /** The number of operands, [least, most]. */
  readonly operandCount: readonly [number, number];
  /** May options stand among the operands? */
  readonly mixes?: boolean;
  /** The exit code, 0 if nothing is returned. Throws Fatal to end with a message. */
  run(
    context: CommandContext,
    options: OptionsOf<Table>,
    operands: readonly string[],
  ): number | void | Promise<number | void>;
}

/** Declare a command; the table's types reach `run`. */
export function defineCommand<const Table extends OptionTable>(
  command: Command<Table>,
): Command<Table> {
  return command;
}

/** An entry of the registry: a command of its own, or a link that is a command under its name. */
export type Definition = Command | Link;

export function isLink(definition: Definition): definition is Link {
  return "reach" in definition;
}

export function definitionSynopsis(definition: Definition): string {
  return isLink(definition)
    ? linkSynopsis(definition)
    : formatSynopsis(definition.options, definition.operands);
}
