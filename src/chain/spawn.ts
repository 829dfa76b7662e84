/**
 * The interpreter for a child: marshal a launch whose links have run, create the process, and tell what
 * became of it. Nothing here waits for a child: that its program was executed, or could not be, comes
 * as an event.
 */

import type { ChildEnd } from "../host/index.ts";
import { joinBlock, SystemError } from "../posix/index.ts";
import type { Child, Limit, Resource, SpawnRequest, WaitStatus } from "../posix/index.ts";
import { askersOf, blameFor } from "./blame.ts";
import type { Askers } from "./blame.ts";
import type { ChainResult } from "./chains.ts";
import { execFailureCode, EXIT } from "./exit.ts";
import { handOn } from "./inherit.ts";
import { abandon } from "./launch.ts";
import type { Companion, Launch } from "./launch.ts";
import type { LinkContext } from "./link.ts";
import { ProgramSearch } from "./search.ts";

/** A child on its way to its program: to be followed, or released by whoever holds the children. */
export interface Spawned {
  readonly kind: "child";
  readonly child: Child;
  /** Which links have asked for what, should it come out that the program was not executed. */
  readonly askers: Askers;
  /** The tunnels beside it. */
  readonly companions: readonly Companion[];
}

/** The exit code of a chain that no process came of. */
export interface Ended {
  readonly kind: "ended";
  readonly exitCode: number;
}

/** The system could not make a process at all (EAGAIN, ENOMEM, EMFILE): nobody's fault. */
export interface NotSpawned {
  readonly kind: "failed";
  readonly error: SystemError;
}

/** A child, or the exit code that the chain has ended with. */
export type SpawnResult = Spawned | Ended | NotSpawned;

/** A launch whose links have run: what is left of it is to be executed. */
export type Prepared = Extract<ChainResult, { readonly kind: "program" }>;

/** The outcome of a child. */
export interface Fate {
  /** Its program was executed. */
  readonly executed?: () => void;
  /**
   * It has ended. One that could not execute its program has the exit code that its chain would have
   * had, and a link has said why; a SystemError where that is for the server to say. Told last.
   */
  ended(end: WaitStatus | SystemError): void;
}

/** Creates the children of one server: holds what is the same for all of them, marshalled. */
export class Spawner {
  readonly #context: LinkContext;
  readonly #server: string;
  readonly #search: ProgramSearch;
  readonly #words = new WeakMap<readonly string[], Words>();
  /** The hard limit on open files that launches begin with. */
  readonly #hardNofile: number;

  /** `server` is the name of the command that speaks when a child cannot be made. */
  constructor(server: string, context: LinkContext) {
    this.#server = server;
    this.#context = context;
    this.#search = new ProgramSearch(context);
    this.#hardNofile = context.posix.getrlimit("nofile").hard;
  }

  /** Run the links at the head of the launch and spawn what is left. */
  spawn(launch: Launch): SpawnResult | Promise<SpawnResult> {
    const prepared = this.prepare(launch);
    return prepared instanceof Promise
      ? prepared.then((later) => this.#finish(later))
      : this.#finish(prepared);
  }

  /**
   * Run the links at the head of the launch. Whoever then makes no process of what comes of it has to
   * `abandon` its launch.
   */
  prepare(launch: Launch): Prepared | Ended | Promise<Prepared | Ended> {
    return this.#context.chains.runForChild(launch, this.#server, this.#context);
  }

  /** Create the process, or try again to. Without a child, what the links have set up stays. */
  create({ launch, by, path }: Prepared): Spawned | NotSpawned {
    const { companions = [] } = launch;
    let child: Child;
    try {
      child = this.#createChild(launch, path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return { kind: "failed", error };
    }
    for (const companion of companions) this.#release(companion, child);
    return { kind: "child", child, askers: askersOf(launch, by), companions };
  }

  /** Wait for the child, and reap it. */
  follow({ child, askers }: Spawned, fate: Fate): void {
    const { executed } = fate;
    this.#context.children.watch(child, {
      ...(executed === undefined ? {} : { executed }),
      ended: (end) => fate.ended(this.#judge(end, child, askers)),
    });
  }

  #finish(prepared: Prepared | Ended): SpawnResult {
    if (prepared.kind === "ended") return prepared;
    const result = this.create(prepared);
    if (result.kind === "failed") abandon(prepared.launch);
    return result;
  }

  /** The child is there, whatever the closing of our copies says. */
  #release(companion: Companion, { pid }: Child): void {
    try {
      companion.release(pid);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const text = `unable to close what child ${pid} was given: ${error.message}`;
      this.#context.report(this.#server, "warning", text);
    }
  }

  #createChild(original: Launch, path: string | undefined): Child {
    const { posix } = this.#context;
    const { block, isOurs } = this.#wordsOf(original.argv, path);
    const launch = isOurs ? handOn(original, posix) : original;
    const { base, extra } = launch.environment.blocks();
    const [word = ""] = original.argv;
    const request: SpawnRequest = {
      files: this.#search.files(word, path),
      argv: block,
      environment: base,
      environmentExtra: extra,
      descriptors: flatten(launch.descriptors),
      closesOthers: launch.closesOthers,
      parentDeathSignal: launch.parentDeathSignal,
      session: launch.session,
      limits: launch.limits.size === 0 ? undefined : this.#limitsOf(launch),
      identity: launch.identity,
      directory: launch.directory,
      umask: launch.umask,
      oomScore: launch.launcher?.oomScore?.original,
    };
    return posix.spawn(request);
  }

  /** A hard limit that no link has changed is what it is now: somebody may have lowered the server's. */
  #limitsOf({ limits }: Launch): [Resource, Limit][] {
    return [...limits].map(([resource, limit]) => {
      const isUnchanged = resource === "nofile" && limit.hard === this.#hardNofile;
      return [resource, isUnchanged ? { soft: limit.soft, hard: Number.NaN } : limit];
    });
  }

  #wordsOf(argv: readonly string[], path: string | undefined): Words {
    const known = this.#words.get(argv);
    if (known !== undefined && known.path === path) return known;
    const [word = ""] = argv;
    const isOurs = this.#context.chains.finder.ownCommand(word, path) !== undefined;
    const words: Words = { path, block: joinBlock(argv), isOurs };
    this.#words.set(argv, words);
    return words;
  }

  /**
   * That the server itself could not execute the program is for the server to tell; what a link has
   * asked for is told as that link would have told it.
   */
  #judge(end: ChildEnd, { pid }: Child, askers: Askers): WaitStatus | SystemError {
    const { status, unexecuted } = end;
    const { report } = this.#context;
    if (unexecuted === undefined) return status;
    if (unexecuted === "killed") {
      const text = `child ${pid} was killed before it could execute ${askers.word}`;
      report(askers.by, "warning", text);
      return status;
    }
    if (askers.by === this.#server) return unexecuted;
    const { who, text } = blameFor(unexecuted, askers);
    report(who, "fatal", text);
    const exitCode =
      unexecuted.syscall === "execve" ? execFailureCode(unexecuted.code) : EXIT.system;
    return { kind: "exited", exitCode };
  }
}

/** Marshalled words, remembered by their array and PATH. */
interface Words {
  readonly path: string | undefined;
  readonly block: Uint8Array;
  /** Would executing them run a launcher of ours? */
  readonly isOurs: boolean;
}

function flatten(descriptors: Launch["descriptors"]): number[] {
  const flat: number[] = [];
  for (const [target, source] of descriptors) flat.push(target, source === "closed" ? -1 : source);
  return flat;
}
