/** The list of all commands, as `ucspi --help` prints it. */

import { COMMAND_NAMES, loadDefinition } from "./registry.ts";

export async function describeCommands(): Promise<string> {
  const width = Math.max(...COMMAND_NAMES.map((name) => name.length)) + 2;
  const lines: string[] = [];
  for (const name of COMMAND_NAMES) {
    const summary = (await loadDefinition(name))?.summary ?? "";
    lines.push(`  ${name.padEnd(width)}${summary}`);
  }
  return ["usage: ucspi command [options] [operands]", "", ...lines, ""].join("\n");
}
