/**
 * The processes of one server's connections: runs the links of a chain, asks for a process and follows it
 * to its end. All that the core knows about making processes is here.
 */

import { Spawner } from "../../chain/index.ts";
import type { Companion, Ended, Launch, LinkContext, Prepared } from "../../chain/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Pid, WaitStatus } from "../../posix/index.ts";

export interface BirthsOptions {
  /**
   * Tell that a program was executed when it was. Otherwise it is taken for granted, until a failure is
   * told.
   */
  readonly awaitsExec: boolean;
}

/** The events of a process, in this order. */
export interface BirthEvents {
  created(born: BornProcess): void;
  begun(): void;
  /** Its program could not be executed, and the server has to say so: in place of `ended`. */
  failed(error: SystemError): void;
  ended(status: WaitStatus): void;
}

/** A process that serves a connection. */
export interface BornProcess {
  readonly pid: Pid;
  /** The tunnels beside it. */
  readonly tunnels: readonly Companion[];
}

export class Births {
  readonly #spawner: Spawner;
  readonly #awaitsExec: boolean;

  /** `server` is the command in whose name it is reported that a child was killed before its exec. */
  constructor(server: string, context: LinkContext, { awaitsExec }: BirthsOptions) {
    context.posix.prepareSpawns();
    this.#spawner = new Spawner(server, context);
    this.#awaitsExec = awaitsExec;
  }

  /** Run the links at the head of the launch. */
  prepare(launch: Launch): Prepared | Ended | Promise<Prepared | Ended> {
    return this.#spawner.prepare(launch);
  }

  /**
   * Ask for a process. The creation of one is told to `events` at once, its further events later. Returns
   * the reason where none was created.
   */
  create(prepared: Prepared, events: BirthEvents): SystemError | undefined {
    const result = this.#spawner.create(prepared);
    if (result.kind === "failed") return result.error;
    events.created({ pid: result.child.pid, tunnels: result.companions });
    if (!this.#awaitsExec) events.begun();
    this.#spawner.follow(result, {
      ...(this.#awaitsExec ? { executed: () => events.begun() } : {}),
      ended(end) {
        if (end instanceof SystemError) events.failed(end);
        else events.ended(end);
      },
    });
    return undefined;
  }
}
