// Writes completions/ for bash, zsh and fish, or to the folder that is given.

import { join, resolve } from "node:path";
import { formatBash } from "./generate/bash.mjs";
import { loadCommands, ROOT } from "./generate/commands.mjs";
import { formatFish } from "./generate/fish.mjs";
import { writeFolder } from "./generate/write.mjs";
import { formatZsh } from "./generate/zsh.mjs";

const commands = await loadCommands();
const files = [
  ["ucspi.bash", formatBash(commands)],
  ["_ucspi", formatZsh(commands)],
  ["ucspi.fish", formatFish(commands)],
];
writeFolder(resolve(process.argv[2] ?? join(ROOT, "completions")), new Map(files));
