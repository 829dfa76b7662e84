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
   * What the child's descriptors will be: `descriptors[2 * i]` in the child is
   * `descriptors[2 * i + 1]` of ours, close-on-exec cleared; a source of -1 closes the target. Any
   * overlap of sources and targets is resolved. Descriptors not named here are inherited unless
   * they are close-on-exec.
   */
  readonly descriptors: readonly number[];
  /** Applied in this order: session, limits, groups, gid, uid, directory. */
  readonly session?: Session | undefined;
  readonly limits?: readonly (readonly [Resource, Limit])[] | undefined;
  readonly identity?: Identity | undefined;
  readonly directory?: string | undefined;
  readonly umask?: number | undefined;
}

/** A child and the pidfd that becomes readable when it ends (-1 where the system has none). */
export interface Child {
  readonly pid: Pid;
  readonly pidfd: Fd;
}

/** Calls that create processes. */
export interface Spawn {
  /**
   * Create a child that shares our memory until it has executed its program (clone with CLONE_VM
   * and CLONE_VFORK, raw system calls only), with default dispositions and an empty mask. A failure
   * in the child, exec included, is thrown here with its errno.
   */
  spawn(request: SpawnRequest): Child;
  /**
   * Like spawn, but without waiting until the child has executed its program: a server goes on with
   * the next connection meanwhile. What goes wrong in the child after its creation ends it with exit
   * code 127; then ask spawnFailure.
   */
  spawnAhead(request: SpawnRequest): Child;
  /**
   * Why a child of spawnAhead, which has ended, never executed its program; undefined if it did. To
   * be asked once for each child that ended with 127: until then a place is kept for the answer.
   */
  spawnFailure(pid: Pid): SystemError | undefined;
}

/** What C exports for this family (`native/`). */
export interface SpawnAddon {
  spawn(
    files: Uint8Array,
    argv: Uint8Array,
    environment: Uint8Array,
    environmentExtra: Uint8Array | undefined,
    plan: Float64Array,
    directory: CString | undefined,
    result: Int32Array,
  ): void;
  spawnAhead(
    files: Uint8Array,
    argv: Uint8Array,
    environment: Uint8Array,
    environmentExtra: Uint8Array | undefined,
    plan: Float64Array,
    directory: CString | undefined,
    result: Int32Array,
  ): void;
  spawnFailure(pid: number): void;
}

/** The calls of this kernel that create processes. */
export function nativeSpawn(addon: SpawnAddon): Spawn {
  const plan = new PlanWriter();
  const pair = new Int32Array(2);

  function spawnArguments(request: SpawnRequest): Parameters<SpawnAddon["spawn"]> {
    const { files, argv, environment, environmentExtra, directory } = request;
    const where = directory === undefined ? undefined : cString(directory);
    return [files, argv, environment, environmentExtra, plan.write(request), where, pair];
  }

  function spawned(): Child {
    return { pid: (pair[0] ?? -1) as Pid, pidfd: (pair[1] ?? -1) as Fd };
  }

  return {
    spawn(request: SpawnRequest): Child {
      addon.spawn(...spawnArguments(request));
      return spawned();
    },

    spawnAhead(request: SpawnRequest): Child {
      addon.spawnAhead(...spawnArguments(request));
      return spawned();
    },

    spawnFailure(pid: Pid): SystemError | undefined {
      try {
        addon.spawnFailure(pid);
        return undefined;
      } catch (error) {
        if (error instanceof SystemError) return error;
        throw error;
      }
    },
  };
}
