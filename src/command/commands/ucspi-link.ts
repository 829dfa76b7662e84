/** ucspi-link: a folder of native launchers for the package as it is installed. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { COMMAND_NAMES, defineCommand, Fatal } from "../index.ts";
import { EXIT } from "../../chain/index.ts";
import { flag } from "../../options/index.ts";
import { errnoOf, packageRoot } from "../../posix/index.ts";
import { fillLauncherFolder, foreignFiles, nativeLauncher } from "./folder/launcher-folder.ts";

const OPTIONS = {
  force: flag({
    short: "f",
    long: "force",
    help: "replace files of these names that are no launchers",
    ours: true,
  }),
};

export const ucspiLink = defineCommand({
  name: "ucspi-link",
  summary: "make a folder of native launchers, which start faster and leave no trace of Node",
  family: "long",
  options: OPTIONS,
  operands: "dir",
  operandCount: [1, 1],
  run({ node, print }, { force }, [directory = ""]) {
    if (directory === "") throw new Fatal(EXIT.usage, "the name of the folder is empty");
    const root = packageRoot();
    const native = nativeLauncher(root, node.processor);
    if (!existsSync(native)) {
      throw new Fatal(EXIT.system, `there is no native launcher for ${node.processor} here`);
    }
    const folder = resolve(directory);
    const names = [...COMMAND_NAMES, "ucspi"];
    orFailure(folder, () => {
      const foreign = foreignFiles(folder, names);
      if (foreign.length > 0 && !force) {
        throw new Fatal(EXIT.usage, `${folder} has something else as ${foreign.join(", ")}`);
      }
      fillLauncherFolder(folder, native, names, {
        root,
        node: node.file,
        nodeVersion: node.version,
      });
    });
    print(`${names.length} launchers in ${folder}, for ${root} and ${node.file}\n`);
  },
});

/** Do what needs files; where one cannot be made, that is told. */
function orFailure(folder: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    throw new Fatal(EXIT.system, `unable to fill ${folder}: ${code}`, { cause: error });
  }
}
