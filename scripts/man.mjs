// Writes man/NAME.SECTION for every command, or to the folder that is given.

import { join, resolve } from "node:path";
import { loadCommands, manualSection, newestRelease, ROOT } from "./generate/commands.mjs";
import { formatManual } from "./generate/mdoc.mjs";
import { writeFolder } from "./generate/write.mjs";

const commands = await loadCommands();
const context = { release: newestRelease(), sectionOf: manualSection };
const pages = commands.map((command) => [
  `${command.name}.${command.body.section}`,
  formatManual(command, context),
]);
writeFolder(resolve(process.argv[2] ?? join(ROOT, "man")), new Map(pages));
