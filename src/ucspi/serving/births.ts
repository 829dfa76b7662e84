/**
 * The processes of one server's connections: runs the links of a chain, asks for a process and follows it
 * to its end. All that the core knows about making processes is here.
 */

import { Children, EXIT, Spawner } from "../../chain/index.ts";
import type {
  Companion,
  Launch,
  LinkContext,
  Prepared,
  Spawned,
  SpawnerOptions,
} from "../../chain/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Child, Fd, Pid, Posix, WaitStatus } from "../../posix/index.ts";

/** What is told of a process from its creation on. */
export interface BirthEvents {
  created(process: BornProcess): void;
  begun(): void;
  /** Its program could not be executed, and the server has to say so. */
  failed(error: SystemError): void;
  ended(status: WaitStatus): void;
}

/** A process that serves a connection. */
export interface BornProcess {
  readonly pid: Pid;
  /** The tunnels beside it. */
  readonly tunnels: readonly Companion[];
}

/** Links have ended the chain, or one of them answers for a step of the child that failed. */
export interface ChainEnd {
  readonly kind: "ended";
  readonly exitCode: number;
}

const NO_PIDFD = -1 as Fd;

export class Births {
  readonly #posix: Posix;
  readonly #spawner: Spawner;
  readonly #children: Children;

  constructor(server: string, context: LinkContext, options: SpawnerOptions) {
    this.#posix = context.posix;
    this.#spawner = new Spawner(server, context, options);
    this.#children = new Children(context.posix, context.signals);
  }

  /** Run the links at the head of the launch. */
  prepare(launch: Launch): Prepared | ChainEnd | Promise<Prepared | ChainEnd> {
    return this.#spawner.prepare(launch);
  }

  /**
   * Ask for a process. What there is to tell of one that was created is told to `events`, some of it
   * before this returns; without one the answer is why.
   */
  create(prepared: Prepared, events: BirthEvents): ChainEnd | SystemError | undefined {
    const result = this.#spawner.create(prepared);
    if (result.kind === "ended") return result;
    if (result.kind === "failed") return result.error;
    this.#follow(result, events);
    return undefined;
  }

  #follow(spawned: Spawned, events: BirthEvents): void {
    const { child, companions } = spawned;
    events.created({ pid: child.pid, tunnels: companions });
    events.begun();
    this.#watch(child, (status) => {
      const failure = mayHaveFailed(status) ? this.#spawner.failureOf(spawned) : undefined;
      if (failure === undefined) events.ended(status);
      else if (failure instanceof SystemError) events.failed(failure);
      else events.ended({ kind: "exited", exitCode: failure.exitCode });
    });
  }

  /** Where the event loop has no room for another descriptor, the signals of children tell as well. */
  #watch(child: Child, ended: (status: WaitStatus) => void): void {
    try {
      this.#children.watch(child, ended);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#posix.close(child.pidfd);
      this.#children.watch({ pid: child.pid, pidfd: NO_PIDFD }, ended);
    }
  }
}

/** The exit code of a child that went ahead and could not execute its program. */
function mayHaveFailed(status: WaitStatus): boolean {
  return status.kind === "exited" && status.exitCode === EXIT.notFound;
}
