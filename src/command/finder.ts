/** Tells chains which words are our own commands: by the files that execvp would run. */

import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { candidateFiles } from "../chain/index.ts";
import type { LinkFinder } from "../chain/index.ts";
import { errnoOf } from "../posix/index.ts";
import { isLink } from "./command.ts";
import { isCommandName, loadDefinition } from "./registry.ts";

/** The finder for the launchers in `directory`. */
export function launcherFinder(directory: string): LinkFinder {
  let home: string | undefined;
  return {
    ownCommand(word, path) {
      if (!isCommandName(basename(word))) return undefined;
      const file = candidateFiles(word, path).find(isExecutable);
      const real = file === undefined ? undefined : realPath(file);
      home ??= realPath(directory);
      if (real === undefined || dirname(real) !== home) return undefined;
      return isCommandName(basename(real)) ? basename(real) : undefined;
    },
    async load(name) {
      const definition = await loadDefinition(name);
      return definition !== undefined && isLink(definition) ? definition : undefined;
    },
    file: (name) => join(directory, name),
  };
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
