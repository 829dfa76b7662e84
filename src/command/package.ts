/** Where this package is installed and which version it is. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { errnoOf } from "../posix/index.ts";

/** The root of the package: the nearest folder above this module with a package.json in it. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (readManifest(folder) === undefined && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export function packageVersion(): string {
  return /"version": "([^"]+)"/.exec(readManifest(packageRoot()) ?? "")?.[1] ?? "unknown";
}

function readManifest(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, "package.json"), "utf8");
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return undefined;
  }
}
