/**
 * Many random sets of inherited descriptors, against a link in C: `npm run fuzz`. RUNS says how many, 300
 * unless given.
 */

import fc from "fast-check";
import { test } from "vitest";
import { descriptorPlans, expectSameDescriptors } from "../support/descriptor-plans.ts";

const RUNS = Number(process.env["RUNS"] ?? 300);

test("random descriptors reach the program behind a link", { timeout: 0 }, async () => {
  await fc.assert(fc.asyncProperty(descriptorPlans, expectSameDescriptors), {
    numRuns: RUNS,
    verbose: true,
  });
});
