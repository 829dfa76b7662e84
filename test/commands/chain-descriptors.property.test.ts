/** A program behind a link of ours has the descriptors that one behind the same link in C has. */

import fc from "fast-check";
import { describe, test } from "vitest";
import {
  descriptorPlans,
  expectSameDescriptors,
  python,
  setsidInC,
} from "../support/descriptor-plans.ts";

describe.skipIf(python.isMissing || setsidInC.isMissing)("inherited descriptors", () => {
  test(
    "inherited descriptors reach the program whatever they are",
    { timeout: 180_000 },
    async () => {
      await fc.assert(fc.asyncProperty(descriptorPlans, expectSameDescriptors), { numRuns: 10 });
    },
  );

  test.each([
    "pipe:5:9,copy:5:20,copy:9:21",
    "pipe:4:3",
    "npipe:6:7",
    "nevent:8,nevent:9",
    "epoll:3,epoll:9",
    "sockets:10:11,nevent:100,npipe:101:102",
  ])("inherited descriptors reach the program though they look like Node's: %s", async (plan) => {
    await expectSameDescriptors(plan.split(","));
  });
});
