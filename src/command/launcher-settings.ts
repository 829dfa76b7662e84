/**
 * The settings that are written into a native launcher when a folder of them is made, and read again to see
 * whose it is (src/launcher/launcher.c).
 */

import { readFileSync, statSync } from "node:fs";

/** The start of the settings in the launcher (src/launcher/launcher.c). */
export const LAUNCHER_MARK = "UCSPI LAUNCHER 1\n";

/** The room for them. */
const SETTINGS_BYTES = 3 * 4096;

/** More than any launcher of ours has. */
const LAUNCHER_BYTES_MAX = 1 << 18;

export interface LauncherSettings {
  /** The directory of the package; absent for a folder in it, which may be moved with it. */
  readonly root?: string;
  /** The Node to execute, and its version. */
  readonly node: string;
  readonly nodeVersion: string;
}

/** A copy of the launcher with these settings. Throws where they do not fit. */
export function withSettings(launcher: Buffer, settings: LauncherSettings): Buffer {
  const start = launcher.indexOf(LAUNCHER_MARK);
  if (start < 0) throw new Error("the native launcher has no room for settings");
  const lines = Buffer.from(`${LAUNCHER_MARK}${settingLines(settings)}`);
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
function hasSigusr1Option(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 7) || (major === 22 && minor >= 14);
}

/** The root of the package that a native launcher is for; undefined for any other file. */
export function rootOfLauncher(file: string): string | undefined {
  if (statSync(file).size > LAUNCHER_BYTES_MAX) return undefined;
  const bytes = readFileSync(file);
  const start = bytes.indexOf(LAUNCHER_MARK);
  if (start < 0) return undefined;
  const settings = bytes.toString("utf8", start, start + SETTINGS_BYTES);
  return /^root=(.*)$/m.exec(settings)?.[1];
}
