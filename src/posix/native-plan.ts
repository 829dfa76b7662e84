/**
 * A spawn request as the array of numbers that native/spawn.c reads: a header, then groups,
 * limits and descriptors. One buffer serves all spawns of an environment, for they are synchronous.
 */
import type { Resource } from "./attributes.ts";
import type { SpawnRequest } from "./spawn.ts";

/** In the order of RESOURCES in native/identity.c. */
const RESOURCES: readonly Resource[] = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "memlock",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "stack",
];

/** The number that stands for a resource in calls to the addon. */
export function resourceNumber(resource: Resource): number {
  return RESOURCES.indexOf(resource);
}

const ABSENT = -1;
const HEADER_LENGTH = 11;
/** Stands for a score that is left as it is. */
const NO_OOM_SCORE = 32767;
const SESSION_NUMBER = { setsid: 1, background: 2 } as const;

/** Writes plans into a buffer of its own, which the next plan overwrites. */
export class PlanWriter {
  #plan = new Float64Array(64);

  write(request: SpawnRequest): Float64Array {
    const { identity, descriptors, limits = [] } = request;
    const groups = identity?.groups;
    const plan = this.#ofLength(
      HEADER_LENGTH + (groups?.length ?? 0) + 3 * limits.length + descriptors.length,
    );
    plan[0] = request.session === undefined ? 0 : SESSION_NUMBER[request.session];
    plan[1] = request.umask ?? ABSENT;
    plan[2] = identity?.uid ?? ABSENT;
    plan[3] = identity?.gid ?? ABSENT;
    plan[4] = groups?.length ?? ABSENT;
    plan[5] = limits.length;
    plan[6] = descriptors.length >>> 1;
    plan[7] = typeof request.directory === "number" ? request.directory : ABSENT;
    plan[8] = request.oomScore ?? NO_OOM_SCORE;
    plan[9] = request.closesOthers === true ? 1 : 0;
    plan[10] = request.parentDeathSignal ?? 0;
    let at = HEADER_LENGTH;
    if (groups !== undefined) for (const gid of groups) plan[at++] = gid;
    for (const [resource, { soft, hard }] of limits) {
      plan[at++] = resourceNumber(resource);
      plan[at++] = soft;
      plan[at++] = hard;
    }
    for (const fd of descriptors) plan[at++] = fd;
    return plan;
  }

  #ofLength(length: number): Float64Array {
    if (length > this.#plan.length) this.#plan = new Float64Array(2 * length);
    return this.#plan;
  }
}
