export { defineCommand, definitionSynopsis, isLink } from "./command.ts";
export type { Command, CommandContext, Definition } from "./command.ts";
export { Fatal } from "./fatal.ts";
export { launcherFinder } from "./finder.ts";
export { main, multicall } from "./main.ts";
export { packageVersion } from "./package.ts";
export { COMMAND_NAMES, loadDefinition } from "./registry.ts";
export { defaultSystem } from "./system.ts";
export type { System } from "./system.ts";
