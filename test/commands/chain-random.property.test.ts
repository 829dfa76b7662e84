/** A few random chains each time; test/fuzz has the long run. */

import fc from "fast-check";
import { test } from "vitest";
import { chains, expectSame } from "../support/random-chains.ts";

test("a random chain of state links does the same fused and by exec", async () => {
  await fc.assert(fc.asyncProperty(chains, expectSame), { numRuns: 12 });
});
