/**
 * Folders of native launchers: the launcher of this processor, with settings written into it, under the name
 * of every command. The build makes `bin/`, `ucspi-link` any other.
 */

import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../../../posix/index.ts";
import { LAUNCHER_MARK, withSettings } from "../../index.ts";
import type { LauncherSettings } from "../../index.ts";

/** The file that a package has for a processor (`x64`, `arm64`), wherever it is installed. */
export function nativeLauncher(root: string, processor: string): string {
  return join(root, "prebuilds", `linux-${processor}`, "launcher");
}

/**
 * Put a launcher for each of `names` into `folder`, all of them one file where the file system has hard
 * links. `native` is the file to make them from. Each takes its place at once, so that a command can be
 * started at any time. Throws what node:fs does.
 */
export function fillLauncherFolder(
  folder: string,
  native: string,
  names: readonly string[],
  settings: LauncherSettings,
): void {
  makeFolder(folder);
  const made = join(mkdtempSync(join(folder, ".making-")), "launcher");
  try {
    writeFileSync(made, withSettings(readFileSync(native), settings));
    chmodSync(made, 0o755);
    for (const name of names) replaceByCopy(made, join(folder, name));
  } finally {
    rmSync(dirname(made), { recursive: true });
  }
}

/** Node's own `recursive` never ends where a file system refuses a folder with ENOENT, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error; // somebody else has made it meanwhile
  }
}

function replaceByCopy(file: string, place: string): void {
  const temporary = join(dirname(file), basename(place));
  try {
    linkSync(file, temporary);
  } catch {
    copyFileSync(file, temporary); // a file system without hard links, or one that has too many
  }
  renameSync(temporary, place);
}

/** Which of these names the folder has something under already that is no launcher of ours. */
export function foreignFiles(folder: string, names: readonly string[]): readonly string[] {
  if (!existsSync(folder)) return [];
  const present = new Set(readdirSync(folder));
  return names.filter((name) => present.has(name) && !isLauncher(join(folder, name)));
}

function isLauncher(file: string): boolean {
  return statSync(file).isFile() && readFileSync(file).includes(LAUNCHER_MARK);
}
