import { defineConfig } from "vitest/config";

/** The long runs: storms and random chains, for which RUNS says how long, and testssl.sh. */
export default defineConfig({
  oxc: { target: "node20" },
  test: {
    pool: "forks",
    include: ["test/fuzz/*.fuzz.ts"],
    testTimeout: 30 * 60_000,
    fileParallelism: false,
  },
});
