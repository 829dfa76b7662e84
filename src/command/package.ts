/** Which version of this package is installed. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../posix/index.ts";

export function packageVersion(): string {
  const manifest = readFileSync(join(packageRoot(), "package.json"), "utf8");
  return /"version": "([^"]+)"/.exec(manifest)?.[1] ?? "unknown";
}
