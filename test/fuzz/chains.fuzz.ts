/**
 * Many random chains, fused against by exec: `npm run fuzz`. RUNS says how many, 1000 unless given.
 */

import fc from "fast-check";
import { test } from "vitest";
import { chains, expectSame } from "../support/random-chains.ts";

const RUNS = Number(process.env["RUNS"] ?? 1000);

test("random chains of state links do the same fused and by exec", { timeout: 0 }, async () => {
  await fc.assert(fc.asyncProperty(chains, expectSame), { numRuns: RUNS, verbose: true });
});
