/** The needs of runs over millions of random inputs: chance that can be repeated, and the use of memory. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The number of runs, RUNS or else ten million. */
export const RUNS = Number(process.env["RUNS"] ?? 10_000_000);

/** The seed of all chance: SEED or else the time. Print it. */
export const SEED = Number(process.env["SEED"] ?? Date.now() >>> 0);

/** A number from 0 to less than `below`, which is 2 ** 32 at most. */
export type Chance = (below: number) => number;

/** xorshift32: fast, and the same for the same seed. */
export function generator(seed: number): Chance {
  let state = seed === 0 ? 1 : seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** The memory in use once the garbage is collected. */
export function heapMiB(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
