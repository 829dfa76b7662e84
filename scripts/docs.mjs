// Writes docs/commands: a reference page for every command, and the list of them. With --check nothing
// is written: the exit code tells whether the pages are what they would be.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { loadCommands, ROOT } from "./generate/commands.mjs";
import { formatIndex, formatPage } from "./generate/page.mjs";
import { writeFolder } from "./generate/write.mjs";

const folder = join(ROOT, "docs", "commands");
const commands = await loadCommands();
const pages = new Map([
  ["README.md", formatIndex(commands)],
  ...commands.map((command) => [`${command.name}.md`, formatPage(command)]),
]);

function stalePages() {
  const names = new Set([...pages.keys(), ...(existsSync(folder) ? readdirSync(folder) : [])]);
  return [...names].filter((name) => readText(join(folder, name)) !== pages.get(name));
}

function readText(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

if (process.argv.includes("--check")) {
  const stale = stalePages();
  for (const name of stale) {
    console.error(`${relative(ROOT, join(folder, name))} is out of date: npm run docs`);
  }
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  writeFolder(folder, pages);
}
