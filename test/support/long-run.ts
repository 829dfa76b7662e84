/** What runs over millions of random inputs need: chance that can be repeated, and a look at the memory. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** How many runs there are, RUNS or else ten million. */
export const RUNS = Number(process.env["RUNS"] ?? 10_000_000);

/** What all chance comes from: SEED or else the time. Print it. */
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

/** What is alive, once the garbage is collected. */
export function heapMiB(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}
