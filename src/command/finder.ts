/** Tells chains which words are our own commands: by the files that execvp would run. */

import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { candidateFiles } from "../chain/index.ts";
import type { LinkFinder } from "../chain/index.ts";
import { errnoOf } from "../posix/index.ts";
import { isLink } from "./command.ts";
import type { Definition } from "./command.ts";
import { rootOfLauncher } from "./launcher-settings.ts";
import { isCommandName, loadDefinition } from "./registry.ts";

/**
 * The finder for the launchers in `directory`. Ours are also those that the package in `root` has elsewhere,
 * native and portable ones, and the native ones in folders that `ucspi link` has made for it.
 */
export function launcherFinder(directory: string, root: string): LinkFinder {
  let homes: ReadonlySet<string | undefined> | undefined;
  const linked = new Map<string, boolean>();

  function isHome(folder: string, file: string): boolean {
    homes ??= new Set([directory, join(root, "bin"), join(root, "dist", "bin")].map(realPath));
    if (homes.has(folder)) return true;
    const known = linked.get(file);
    if (known !== undefined) return known;
    const isLinked = isLauncherFor(root, file);
    linked.set(file, isLinked);
    return isLinked;
  }

  return {
    ownCommand(word, path) {
      if (!isCommandName(basename(word))) return undefined;
      const file = candidateFiles(word, path).find(isExecutable);
      const real = file === undefined ? undefined : realPath(file);
      if (real === undefined || !isCommandName(basename(real))) return undefined;
      return isHome(dirname(real), real) ? basename(real) : undefined;
    },
    async load(name) {
      const definition = await loadUnlessReplaced(name);
      return definition !== undefined && isLink(definition) ? definition : undefined;
    },
    file: (name) => join(directory, name),
  };
}

/**
 * The definition of a command; undefined where the package has been replaced since this process was started.
 * Such a link is executed, which means the same, and the new version runs it.
 */
async function loadUnlessReplaced(name: string): Promise<Definition | undefined> {
  try {
    return await loadDefinition(name);
  } catch (error) {
    if (error instanceof Error && error.name === "BundleError") return undefined;
    throw error;
  }
}

function isLauncherFor(root: string, file: string): boolean {
  try {
    const its = rootOfLauncher(file);
    return its !== undefined && realPath(its) === realPath(root);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false; // a program that may be executed and not read
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function realPath(file: string): string | undefined {
  try {
    return realpathSync.native(file);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
