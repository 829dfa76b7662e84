/**
 * Links: the words of a chain that are ours, as functions over a launch. A link declares its options
 * once; it is parsed when the chain is compiled and run for each process the chain makes.
 */

import { formatSynopsis, parseOptions, UsageError } from "../options/index.ts";
import type { OptionFamily, OptionsOf, OptionTable, ParsedOptions } from "../options/index.ts";
import type { Clock } from "../clock/index.ts";
import type { Children, Host, Report, Signals } from "../host/index.ts";
import type { Posix } from "../posix/index.ts";
import type { Chains } from "./chains.ts";
import type { Launch } from "./launch.ts";

/** The outcome of running a link. */
export type Outcome =
  /** Go on with `launch`, whose argv is what follows the link. */
  | { readonly kind: "continue"; readonly launch: Launch }
  /** Go on with `launch` in another process image: its words are not to be run in this one. */
  | { readonly kind: "execute"; readonly launch: Launch }
  /** The chain ends here: refused, failed or done. Whatever there was to say has been reported. */
  | { readonly kind: "ended"; readonly exitCode: number };

/** The world of a link: everything it may touch besides its launch. */
export interface LinkContext {
  readonly posix: Posix;
  readonly clock: Clock;
  /** The host of this process, for what is to live in it. */
  readonly host: Host;
  /** That of the log of the host, unless its lines are to be discarded. */
  readonly report: Report;
  readonly signals: Signals;
  /** The children of this process: those that are made here are waited for there. */
  readonly children: Children;
  /** Compiles and runs chains of words: for the links that hold one of their own. */
  readonly chains: Chains;
  /** This process itself is what the chain is becoming; otherwise a child will be. */
  readonly isBecoming: boolean;
}

/** The words of a link on the command line. */
export interface LinkWords<Table extends OptionTable> {
  readonly options: OptionsOf<Table>;
  /** Its own operands, as many as it declares. */
  readonly operands: readonly string[];
  /** The words that follow: the next link or the program. */
  readonly program: readonly string[];
}

/**
 * The place where a link's function may run on behalf of another process:
 * `anywhere`: it only edits the launch. `identity`: it reads files or talks to the network with the
 * rights of this process, so it cannot stand in for a process of another identity. `process`: it
 * works on the very process it lives in (locks, waiting, serving).
 */
export type Reach = "anywhere" | "identity" | "process";

export interface Link<Table extends OptionTable = OptionTable> {
  readonly name: string;
  /** Its purpose in one phrase, for lists and the head of the manual page. */
  readonly summary: string;
  readonly family: OptionFamily;
  readonly options: Table;
  /** Names of its own operands, in order. */
  readonly operands: readonly string[];
  /** The words of a block that stands in front of the program, as the usage line shows them. */
  readonly block?: string;
  /** Does a program follow? */
  readonly program: "required" | "optional" | "none";
  /** The words of the program as the usage line shows them, where they are not `prog...`. */
  readonly programWords?: string;
  readonly reach: Reach;
  /** The reach where it depends on the words. */
  reachFor?(words: LinkWords<Table>): Reach;
  /** Sentences for the dry run: what running it would do that the launch does not show. */
  describe?(words: LinkWords<Table>, launch: Launch): readonly string[];
  /** The dry run's `run`: no side effects. Links that only edit need none. */
  preview?(launch: Launch, words: LinkWords<Table>, context: LinkContext): Outcome;
  /**
   * The preparation for which a server may ask the link before its first connection: start what all of
   * them share, and find out that it cannot work. An exit code ends the server; why has been reported.
   */
  prepare?(
    launch: Launch,
    words: LinkWords<Table>,
    context: LinkContext,
  ): Promise<number | undefined>;
  /**
   * Load what `run` would import when it needs it: a server does so at its start, for its files may be those
   * of another version by then.
   */
  preload?(words: LinkWords<Table>): Promise<unknown>;
  /** The chain that this link runs for each connection or event, for the dry run. */
  inner?(words: LinkWords<Table>, launch: Launch): Launch | undefined;
  run(launch: Launch, words: LinkWords<Table>, context: LinkContext): Outcome | Promise<Outcome>;
}

/** Declare a link; the table's types reach its functions. */
export function defineLink<const Table extends OptionTable>(link: Link<Table>): Link<Table> {
  return link;
}

/** The place where this link may run, given its words. */
export function reachOf(link: Link, words: LinkWords<OptionTable>): Reach {
  return link.reachFor?.(words) ?? link.reach;
}

export function goOn(launch: Launch): Outcome {
  return { kind: "continue", launch };
}

export function end(exitCode: number): Outcome {
  return { kind: "ended", exitCode };
}

/** `[-a|-b] [-c max] file prog...` */
export function linkSynopsis(link: Link): string {
  const { programWords: words = "prog..." } = link;
  const program = { required: [words], optional: [`[${words}]`], none: [] }[link.program];
  const block = link.block === undefined ? [] : [`{ ${link.block} }`];
  return formatSynopsis(link.options, [...link.operands, ...block, ...program].join(" "));
}

/** A link's words, or which of --help, --version and --explain was asked for. Throws UsageError. */
export function parseLink<Table extends OptionTable>(
  link: Link<Table>,
  words: readonly string[],
): { readonly words: LinkWords<Table>; readonly builtin: ParsedOptions<Table>["builtin"] } {
  const grammar = { family: link.family, options: link.options, explains: true };
  const { options, operands, builtin } = parseOptions(grammar, words);
  const own = operands.slice(0, link.operands.length);
  const program = operands.slice(link.operands.length);
  if (builtin !== "help" && builtin !== "version") checkOperands(link, own, program);
  return { words: { options, operands: own, program }, builtin };
}

function checkOperands(link: Link, own: readonly string[], program: readonly string[]): void {
  const missing = link.operands[own.length];
  if (missing !== undefined) throw new UsageError(`missing operand: ${missing}`, true);
  if (link.program === "required" && (program[0] ?? "") === "") {
    throw new UsageError("missing operand: prog", true);
  }
  const [surplus] = program;
  if (link.program === "none" && surplus !== undefined) {
    throw new UsageError(`unexpected operand: ${surplus}`, true);
  }
}
