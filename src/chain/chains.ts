/**
 * Compilation: from words to links. A word is fused only if executing it would have run our own
 * launcher, by the PATH in force at that point of the chain; otherwise it is the program.
 *
 * The meaning of a word depends only on the words and on PATH, so it is found once and remembered
 * by the array of words: each link hands on the same array every time it runs.
 */

import type { UsageError } from "../options/index.ts";
import { SystemError } from "../posix/index.ts";
import { EXIT } from "./exit.ts";
import { abandon } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { end, parseLink, reachOf } from "./link.ts";
import type { Link, LinkContext, LinkWords, Outcome, Reach } from "./link.ts";
import { isUsageError, reportUsage } from "./usage.ts";

/** Finds our own commands: the launchers know their files, the registry their links. */
export interface LinkFinder {
  /** The name of the command of ours that execvp of this word would run, if it would. */
  ownCommand(word: string, path: string | undefined): string | undefined;
  /** Its link; undefined for a command that is no chain link. */
  load(name: string): Promise<Link | undefined>;
  /** The file to execute for a command of ours. */
  file(name: string): string;
}

/** A link of a compiled chain and its parsed words, or why they could not be parsed. */
export type Stage =
  | { readonly link: Link; readonly words: LinkWords<Link["options"]> }
  | { readonly link: Link; readonly error: UsageError };

/** "program": the words that are left are not ours to run. */
type Meaning = Stage | "program";

/** The end of a run: a program to execute, or the exit code of a chain that ended before one. */
export type ChainResult =
  | {
      readonly kind: "program";
      readonly launch: Launch;
      /** The link that would execute it. */
      readonly by: string;
      /** The PATH that link would search. */
      readonly path: string | undefined;
    }
  | { readonly kind: "ended"; readonly exitCode: number };

/**
 * The progress of a run. `path` is the PATH that the process at this point would search for its
 * next word: what PATH was before that process made its edits, as in the C suite.
 */
interface Position {
  readonly launch: Launch;
  readonly by: string;
  readonly path: string | undefined;
}

export interface ChainsOptions {
  readonly finder: LinkFinder;
  /** False makes every link a real exec (UCSPI_CHAIN=exec). */
  readonly fuses: boolean;
}

export class Chains {
  readonly finder: LinkFinder;
  readonly fuses: boolean;
  readonly #meanings = new WeakMap<readonly string[], Map<string | undefined, Meaning>>();

  constructor({ finder, fuses }: ChainsOptions) {
    this.finder = finder;
    this.fuses = fuses;
  }

  /** The meaning of these words, known or found now. */
  meaning(argv: readonly string[], path: string | undefined): Meaning | Promise<Meaning> {
    const known = this.#meanings.get(argv)?.get(path);
    return known ?? (this.fuses ? this.#compile(argv, path) : "program");
  }

  /** Tell what these words mean: the command line of this very process is ours whatever PATH says. */
  know(argv: readonly string[], path: string | undefined, stage: Stage): void {
    this.#remember(argv, path, stage);
  }

  /**
   * Work out a whole chain ahead of its first run for a child, as far as PATH stays what it is, and have
   * its links prepare themselves, as far as it can be foreseen what launch they will get. An exit code
   * when one of them says that it will never work.
   */
  async prepare(launch: Launch, context: LinkContext): Promise<number | undefined> {
    const quiet = { ...context, report: () => undefined };
    let now: Launch | undefined = launch;
    let { argv } = launch;
    for (;;) {
      const stage = await this.meaning(argv, launch.environment.get("PATH"));
      if (stage === "program" || !("words" in stage)) return undefined;
      await stage.link.preload?.(stage.words);
      const exitCode =
        now !== undefined && canActFor(now, stage)
          ? await stage.link.prepare?.(now, stage.words, context)
          : undefined;
      if (exitCode !== undefined) return exitCode;
      now = now && (await foresee(stage, now, quiet));
      argv = now?.argv ?? stage.words.program;
    }
  }

  /**
   * Run the links at the head of `launch.argv` for a child to be: those that can act for it from
   * here. Answers at once unless a link has to wait. `by` is the name of the server.
   */
  runForChild(
    launch: Launch,
    by: string,
    context: LinkContext,
  ): ChainResult | Promise<ChainResult> {
    return this.#run({ launch, by, path: launch.environment.get("PATH") }, context);
  }

  #run(start: Position, context: LinkContext): ChainResult | Promise<ChainResult> {
    let now = start;
    for (;;) {
      const stage = this.meaning(now.launch.argv, now.path);
      if (stage instanceof Promise) return stage.then(() => this.#run(now, context));
      if (stage === "program" || !canActFor(now.launch, stage)) {
        return { kind: "program", ...now };
      }
      const next = { by: stage.link.name, path: now.launch.environment.get("PATH") };
      const outcome = runStage(stage, now.launch, context);
      if (outcome instanceof Promise) return this.#resume(outcome, now.launch, next, context);
      if (outcome.kind === "ended") return abandoned(now.launch, outcome);
      if (outcome.kind === "execute") return { kind: "program", ...next, launch: outcome.launch };
      now = { ...next, launch: outcome.launch };
    }
  }

  async #resume(
    outcome: Promise<Outcome>,
    before: Launch,
    next: Omit<Position, "launch">,
    context: LinkContext,
  ): Promise<ChainResult> {
    const result = await outcome;
    if (result.kind === "ended") return abandoned(before, result);
    if (result.kind === "execute") return { kind: "program", ...next, launch: result.launch };
    return this.#run({ ...next, launch: result.launch }, context);
  }

  async #compile(argv: readonly string[], path: string | undefined): Promise<Meaning> {
    const meaning = await this.#understand(argv, path);
    this.#remember(argv, path, meaning);
    return meaning;
  }

  #remember(argv: readonly string[], path: string | undefined, meaning: Meaning): void {
    const byPath = this.#meanings.get(argv) ?? new Map<string | undefined, Meaning>();
    if (byPath.size >= PATHS_MAX) byPath.clear();
    this.#meanings.set(argv, byPath.set(path, meaning));
  }

  async #understand(argv: readonly string[], path: string | undefined): Promise<Meaning> {
    const [word, ...rest] = argv;
    const name = word === undefined ? undefined : this.finder.ownCommand(word, path);
    const link = name === undefined ? undefined : await this.finder.load(name);
    if (link === undefined) return "program";
    try {
      const { words, builtin } = parseLink(link, rest);
      return builtin === undefined ? { link, words } : "program";
    } catch (error) {
      if (isUsageError(error)) return { link, error };
      throw error;
    }
  }
}

/** The chain has ended, and with it what links had set up for the process to come. */
function abandoned<Result>(launch: Launch, result: Result): Result {
  abandon(launch);
  return result;
}

/** The number of values of PATH that one chain remembers: rules may set any number of them. */
const PATHS_MAX = 16;

/** Run one link; invalid words are an exit code like any other refusal. */
export function runStage(
  stage: Stage,
  launch: Launch,
  context: LinkContext,
): Outcome | Promise<Outcome> {
  const { link } = stage;
  if (!("words" in stage)) return end(reportUsage(context.report, link, stage.error));
  try {
    const outcome = link.run(launch, stage.words, context);
    return outcome instanceof Promise
      ? outcome.catch((error: unknown) => endOnError(error, link, context))
      : outcome;
  } catch (error) {
    return endOnError(error, link, context);
  }
}

/** The launch that the next link would get; undefined where that is not to be foreseen. */
async function foresee(
  stage: Stage,
  launch: Launch,
  context: LinkContext,
): Promise<Launch | undefined> {
  try {
    const outcome = await previewStage(stage, launch, context);
    return outcome.kind === "continue" ? outcome.launch : undefined;
  } catch (error) {
    if (isUsageError(error) || error instanceof SystemError) return undefined;
    throw error;
  }
}

/** The launch after a stage, without the side effects of the stage: for callers that look ahead. */
export async function previewStage(
  stage: Stage,
  launch: Launch,
  context: LinkContext,
): Promise<Outcome> {
  if (!("words" in stage)) return runStage(stage, launch, context);
  const { link, words } = stage;
  if (link.preview !== undefined) return link.preview(launch, words, context);
  return stageReach(stage) === "process" ? end(EXIT.ok) : link.run(launch, words, context);
}

/** A usage error that only running has shown, or a system call that failed; the rest are bugs. */
function endOnError(error: unknown, link: Link, { report }: LinkContext): Outcome {
  if (isUsageError(error)) return end(reportUsage(report, link, error));
  if (!(error instanceof SystemError)) throw error;
  report(link.name, "fatal", `unable to ${error.syscall}: ${error.message}`);
  return end(EXIT.system);
}

/** Can this link run in this process on behalf of the child that `launch` describes? */
function canActFor(launch: Launch, stage: Stage): boolean {
  const reach = stageReach(stage);
  if (reach === "anywhere") return true;
  return reach === "identity" && launch.identity === undefined;
}

/** The place where a stage may run: a usage error is reported as the link itself would report it. */
export function stageReach(stage: Stage): Reach {
  return "words" in stage ? reachOf(stage.link, stage.words) : stage.link.reach;
}
