/**
 * Run the tests of the kernel calls against a build of the addon with AddressSanitizer and
 * UndefinedBehaviorSanitizer. Leaks are not looked for: Node itself ends without freeing.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { buildAddon } from "./build-addon.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const runtime = (name) =>
  execFileSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();

const { status } = spawnSync(
  process.execPath,
  [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "test/posix"],
  {
    cwd: ROOT,
    stdio: "inherit",
    env: {
      ...process.env,
      UCSPI_ADDON: buildAddon({ target: "asan" }),
      LD_PRELOAD: [runtime("libasan.so"), runtime("libubsan.so")].join(":"),
      ASAN_OPTIONS: "detect_leaks=0",
      UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
    },
  },
);
process.exitCode = status ?? 1;
