/**
 * Folders of native launchers: the launcher of this processor, with settings written into it, under the name
 * of every command. The build makes `bin/`, `ucspi link` any other.
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

/** Where the settings begin in the launcher (src/launcher/launcher.c). */
const MARK = "UCSPI LAUNCHER 1\n";

/** The room for them. */
const SETTINGS_BYTES = 3 * 4096;

/** More than any launcher of ours has. */
const LAUNCHER_BYTES_MAX = 1 << 18;

export interface LauncherSettings {
  /** Where the package is; absent for a folder in it, which may be moved with it. */
  readonly root?: string;
  /** The Node to execute, and its version. */
  readonly node: string;
  readonly nodeVersion: string;
}

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
  mkdirSync(folder, { recursive: true });
  const made = join(mkdtempSync(join(folder, ".making-")), "launcher");
  writeFileSync(made, withSettings(readFileSync(native), settings));
  chmodSync(made, 0o755);
  try {
    for (const name of names) replaceByCopy(made, join(folder, name));
  } finally {
    rmSync(dirname(made), { recursive: true });
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

function withSettings(launcher: Buffer, settings: LauncherSettings): Buffer {
  const start = launcher.indexOf(MARK);
  if (start < 0) throw new Error("the native launcher has no room for settings");
  const lines = Buffer.from(`${MARK}${settingLines(settings)}`);
  if (lines.length >= SETTINGS_BYTES) throw new Error("the paths are too long for a launcher");
  const result = Buffer.from(launcher);
  result.fill(0, start, start + SETTINGS_BYTES);
  lines.copy(result, start);
  return result;
}

function settingLines({ root, node, nodeVersion }: LauncherSettings): string {
  const { size, mtimeMs } = statSync(node);
  const settings = {
    root,
    node,
    version: `${size}:${Math.floor(mtimeMs / 1000)}`,
    option: hasSigusr1Option(nodeVersion) ? "--disable-sigusr1" : undefined,
  };
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/** Does this Node know --disable-sigusr1? It came with 22.14 and 23.7. */
export function hasSigusr1Option(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 7) || (major === 22 && minor >= 14);
}

/** The root of the package that a native launcher is for; undefined for any other file. */
export function rootOfLauncher(file: string): string | undefined {
  if (statSync(file).size > LAUNCHER_BYTES_MAX) return undefined;
  const bytes = readFileSync(file);
  const start = bytes.indexOf(MARK);
  if (start < 0) return undefined;
  const settings = bytes.toString("utf8", start, start + SETTINGS_BYTES);
  return /^root=(.*)$/m.exec(settings)?.[1];
}

/** Which of these names the folder has something under already that is no launcher of ours. */
export function foreignFiles(folder: string, names: readonly string[]): readonly string[] {
  if (!existsSync(folder)) return [];
  const present = new Set(readdirSync(folder));
  return names.filter((name) => present.has(name) && !isLauncher(join(folder, name)));
}

function isLauncher(file: string): boolean {
  return statSync(file).isFile() && readFileSync(file).includes(MARK);
}
