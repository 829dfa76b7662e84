/**
 * The directory in which this package is installed. It runs as source, built, and bundled: at several
 * depths.
 */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

let root: string | undefined;

/** The nearest folder above the one of this module with a package.json in it. */
export function packageRoot(): string {
  return (root ??= rootAbove(dirname(import.meta.dirname)));
}

function rootAbove(folder: string): string {
  const isRoot = existsSync(join(folder, "package.json")) || dirname(folder) === folder;
  return isRoot ? folder : rootAbove(dirname(folder));
}
