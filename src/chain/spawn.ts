/** The interpreter for a child: marshal a launch whose links have run, and create the process. */

import { askedOf, blameFor } from "./blame.ts";
import type { Asked } from "./blame.ts";
import type { ChainResult } from "./chains.ts";
import { execFailureCode, EXIT } from "./exit.ts";
import { handOn } from "./inherit.ts";
import { abandon } from "./launch.ts";
import type { Companion, Launch } from "./launch.ts";
import type { LinkContext } from "./link.ts";
import { candidateFiles } from "./search.ts";
import { joinBlock, SystemError } from "../posix/index.ts";
import type { Child, SpawnRequest } from "../posix/index.ts";

/** A child on its way to its program. */
export interface Spawned {
  readonly kind: "child";
  readonly child: Child;
  /** Who asked for what, should it come out that the program was not executed. */
  readonly asked: Asked;
  /** The link that would have executed the program. */
  readonly by: string;
  /** What lives beside it. */
  readonly companions: readonly Companion[];
}

export interface SpawnerOptions {
  /**
   * Go on before a child has executed its program, which serves more connections: whether it did is
   * then known when the child has ended (`failureOf`).
   */
  readonly goesAhead: boolean;
}

/** The exit code of a chain that no process came of. */
export interface Ended {
  readonly kind: "ended";
  readonly exitCode: number;
}

/** A child, or the exit code that the chain would have ended with. */
export type SpawnResult = Spawned | Ended | Failed;

/** The system could not make a process at all (EAGAIN, ENOMEM, EMFILE): nobody's fault. */
export interface Failed {
  readonly kind: "failed";
  readonly error: SystemError;
}

/** A launch whose links have run: what is left of it is to be executed. */
export type Prepared = Extract<ChainResult, { readonly kind: "program" }>;

/** Marshalled argv and candidate files, remembered by the array of words and PATH. */
interface Program {
  readonly path: string | undefined;
  readonly files: Uint8Array;
  readonly argv: Uint8Array;
  readonly isOurs: boolean;
}

/** Creates the children of one server: holds what is the same for all of them, marshalled. */
export class Spawner {
  readonly #context: LinkContext;
  readonly #server: string;
  readonly #goesAhead: boolean;
  readonly #programs = new WeakMap<readonly string[], Program>();

  /** `server` is the name of the command that speaks when a child cannot be made. */
  constructor(
    server: string,
    context: LinkContext,
    { goesAhead }: SpawnerOptions = { goesAhead: false },
  ) {
    this.#server = server;
    this.#context = context;
    this.#goesAhead = goesAhead;
  }

  /**
   * What a child's end with exit code 127 means: undefined if its program has run and chose to, else
   * the exit code the chain would have had, or why the system could not make a process.
   */
  failureOf({ child, asked, by }: Spawned): Ended | SystemError | undefined {
    if (!this.#goesAhead) return undefined;
    const error = this.#context.posix.spawnFailure(child.pid);
    return error === undefined ? undefined : this.#judge(error, asked, by);
  }

  /** Run the links at the head of the launch and spawn what is left. */
  spawn(launch: Launch): SpawnResult | Promise<SpawnResult> {
    const result = this.prepare(launch);
    return result instanceof Promise
      ? result.then((later) => this.#finish(later))
      : this.#finish(result);
  }

  /**
   * Run the links at the head of the launch. Whoever then makes no process of what comes of it has to
   * `abandon` its launch.
   */
  prepare(launch: Launch): Prepared | Ended | Promise<Prepared | Ended> {
    return this.#context.chains.runForChild(launch, this.#server, this.#context);
  }

  /** Create the process, or try again to. Without a child what the links have set up stays. */
  create({ launch, by, path }: Prepared): SpawnResult {
    const { companions = [] } = launch;
    try {
      const child = this.#createChild(launch, this.#program(launch.argv, path));
      for (const companion of companions) companion.release(child.pid);
      return { kind: "child", child, asked: askedOf(launch), by, companions };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const judged = this.#judge(error, launch, by);
      return judged instanceof SystemError ? { kind: "failed", error: judged } : judged;
    }
  }

  #finish(result: Prepared | Ended): SpawnResult {
    if (result.kind === "ended") return result;
    const created = this.create(result);
    if (created.kind !== "child") abandon(result.launch);
    return created;
  }

  #createChild(original: Launch, program: Program): Child {
    const { posix } = this.#context;
    const launch = program.isOurs ? handOn(original, posix) : original;
    const { base, extra } = launch.environment.blocks();
    const request: SpawnRequest = {
      files: program.files,
      argv: program.argv,
      environment: base,
      environmentExtra: extra,
      descriptors: flatten(launch.descriptors),
      session: launch.session,
      limits: launch.limits.size === 0 ? undefined : [...launch.limits],
      identity: launch.identity,
    };
    return this.#goesAhead ? posix.spawnAhead(request) : posix.spawn(request);
  }

  #program(argv: readonly string[], path: string | undefined): Program {
    const known = this.#programs.get(argv);
    if (known !== undefined && known.path === path) return known;
    const [word = ""] = argv;
    const program: Program = {
      path,
      files: joinBlock(candidateFiles(word, path)),
      argv: joinBlock(argv),
      isOurs: this.#context.chains.finder.ownCommand(word, path) !== undefined,
    };
    this.#programs.set(argv, program);
    return program;
  }

  /**
   * A failure before exec is the server's; one of the child's own steps is told as the link that asked
   * for it would have told it.
   */
  #judge(error: SystemError, launch: Asked, by: string): Ended | SystemError {
    const { report } = this.#context;
    if (CREATION.has(error.syscall) || by === this.#server) return error;
    const { who, text } = blameFor(error, launch, by);
    report(who, "fatal", text);
    const exitCode = error.syscall === "execve" ? execFailureCode(error.code) : EXIT.system;
    return { kind: "ended", exitCode };
  }
}

/** The calls that make the process itself. */
const CREATION: ReadonlySet<string> = new Set(["clone", "fork", "vfork", "pidfd_open", "mmap"]);

function flatten(descriptors: Launch["descriptors"]): number[] {
  const flat: number[] = [];
  for (const [target, source] of descriptors) flat.push(target, source === "closed" ? -1 : source);
  return flat;
}
