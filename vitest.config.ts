import { defineConfig } from "vitest/config";

export default defineConfig({
  oxc: { target: "node20" },
  test: {
    pool: "forks",
    maxWorkers: "100%",
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    coverage: { provider: "v8", include: ["src/**/*.ts"], reporter: ["text-summary"] },
  },
});
