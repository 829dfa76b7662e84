/** Children: what they are born with, and their birth. */

import { cString, type CString } from "./bytes.ts";
import type { Identity, Limit, Resource } from "./attributes.ts";
import { PlanWriter } from "./native-plan.ts";
import { SystemError, type Fd, type Pid } from "./kernel.ts";

/** A session or process-group change made in a new process. */
export type Session = "setsid" | "background";

/**
 * Everything a child is born with. Byte blocks are NUL-terminated strings back to back, so that a
 * server marshals its constant part once and a connection adds only its own strings.
 */
export interface SpawnRequest {
  /** Paths to try in order, as execvp(3) would: NUL-terminated, back to back, at least one. */
  readonly files: Uint8Array;
  /** argv[0] and on. */
  readonly argv: Uint8Array;
  /** NAME=VALUE strings. */
  readonly environment: Uint8Array;
  /** More NAME=VALUE strings, after `environment`; the caller has taken out what these replace. */
  readonly environmentExtra?: Uint8Array | undefined;
  /**
   * The descriptors of the child: `descriptors[2 * i]` in the child is
   * `descriptors[2 * i + 1]` of ours, close-on-exec cleared; a source of -1 closes the target. Any
   * overlap of sources and targets is resolved. Sources may be closed as soon as `spawn` has returned.
   * Descriptors not named here are inherited unless they are close-on-exec, as they are at some moment
   * between `spawn` and the exec; one that was made inheritable by other means than the calls of
   * `Posix` after the first birth may be left out.
   */
  readonly descriptors: readonly number[];
  /** Descriptors above 2 that are not named are closed, whether they are close-on-exec or not. */
  readonly closesOthers?: boolean | undefined;
  /**
   * The signal that the child gets when this process ends, or the worker that spawns it. The kernel forgets it when
   * the child's program changes its identity.
   */
  readonly parentDeathSignal?: number | undefined;
  /**
   * Applied in this order, which ends with what gives up rights: session, directory, umask, oomScore,
   * descriptors, limits, groups, gid, uid. So the directory is entered with the rights of this process.
   */
  readonly session?: Session | undefined;
  /** A hard limit of NaN stays as it is, and is the most that the soft one becomes. */
  readonly limits?: readonly (readonly [Resource, Limit])[] | undefined;
  readonly identity?: Identity | undefined;
  /** A path, or an open directory. */
  readonly directory?: string | Fd | undefined;
  readonly umask?: number | undefined;
  /**
   * The adjustment of the child's oom score, -1000 to 1000. Such a child
   * gets a copy of our memory, which takes longer: processes that share memory share the score.
   */
  readonly oomScore?: number | undefined;
}

/** A child on its way to its program. */
export interface Child {
  readonly pid: Pid;
  /** Becomes readable when the child has ended; -1 where the system has none. */
  readonly pidfd: Fd;
  /** The number of its birth, for `birthFailure`: unlike a pid it is never used again. */
  readonly birth: number;
}

/** Calls that create processes. */
export interface Spawn {
  /**
   * Set aside the low descriptor numbers that births use: up to 32 descriptors, fewer under a low limit.
   * The first birth does so too; but in a process that holds many descriptors by then, births would
   * take longer the more it holds.
   */
  prepareSpawns(): void;
  /**
   * Create a child, with default dispositions and an empty mask, and go on at once: it shares our
   * memory until it has executed its program or is gone. An error here (of clone, mmap or pipe2) means
   * that there is no child. If it cannot take a step or execute the program, it ends with exit code
   * 127 and `birthFailure` tells why.
   */
  spawn(request: SpawnRequest): Child;
  /**
   * The failure that kept a child from executing its program: the step that failed and its errno; undefined when
   * none did. To be asked once, when the birth is not in flight any more or the child has ended. Of a
   * child that was killed first thing, sources that it has not taken are closed by this call.
   */
  birthFailure(birth: number): SystemError | undefined;
  /**
   * The births whose children have neither executed their program nor ended. Costs no system call: the
   * kernel clears a word of our memory.
   */
  birthsInFlight(): readonly number[];
  /** Is this a child that `spawn` has made here, and `reap` has not reaped? */
  isSpawned(pid: Pid): boolean;
}

/** The exports of C for this family (`native/`). */
export interface SpawnAddon {
  prepareSpawns(): void;
  spawn(
    files: Uint8Array,
    argv: Uint8Array,
    environment: Uint8Array,
    environmentExtra: Uint8Array | undefined,
    plan: Float64Array,
    directory: CString | undefined,
    result: Int32Array,
  ): number;
  birthFailure(birth: number): void;
  birthsInFlight(into: Float64Array): number;
}

/** pid and pidfd. */
const RESULT_LENGTH = 2;
const BIRTHS_FIRST = 64;

/** The calls of this kernel that create processes; `spawned` is where `reap` finds who they were. */
export function nativeSpawn(addon: SpawnAddon, spawned: Set<number>): Spawn {
  const plan = new PlanWriter();
  const result = new Int32Array(RESULT_LENGTH);
  let births = new Float64Array(BIRTHS_FIRST);

  return {
    prepareSpawns: () => addon.prepareSpawns(),

    spawn(request: SpawnRequest): Child {
      const { files, argv, environment, environmentExtra, directory } = request;
      const path = typeof directory === "string" ? cString(directory) : undefined;
      const birth = addon.spawn(
        files,
        argv,
        environment,
        environmentExtra,
        plan.write(request),
        path,
        result,
      );
      const [pid = -1, pidfd = -1] = result;
      spawned.add(pid);
      return { pid: pid as Pid, pidfd: pidfd as Fd, birth };
    },

    birthFailure(birth: number): SystemError | undefined {
      try {
        addon.birthFailure(birth);
        return undefined;
      } catch (error) {
        if (error instanceof SystemError) return error;
        throw error;
      }
    },

    birthsInFlight(): readonly number[] {
      let count = addon.birthsInFlight(births);
      if (count > births.length) {
        births = new Float64Array(2 * count);
        count = addon.birthsInFlight(births);
      }
      return Array.from(births.subarray(0, count));
    },

    isSpawned: (pid: Pid) => spawned.has(pid),
  };
}
