/** Writing generated files: a folder holds exactly what was generated. */

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Write `files`, a map from name to text, and remove whatever else is in `folder`. */
export function writeFolder(folder, files) {
  mkdirSync(folder, { recursive: true });
  const stale = readdirSync(folder).filter((name) => !files.has(name));
  for (const name of stale) rmSync(join(folder, name), { recursive: true });
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
}
