import { defineConfig } from "vitest/config";

/** The long runs: storms and random chains. RUNS says how long. */
export default defineConfig({
  oxc: { target: "node20" },
  test: {
    pool: "forks",
    include: ["test/fuzz/*.fuzz.ts"],
    testTimeout: 30 * 60_000,
    fileParallelism: false,
  },
});
