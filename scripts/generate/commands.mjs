/**
 * Every command as the generators of manual, reference pages and completions see it: its option table,
 * from the built library, and the body written by hand in docs/manual.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseBody } from "./body.mjs";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");

const LIBRARY = join(ROOT, "dist", "lib", "command", "index.js");

/** All commands in alphabetical order. */
export async function loadCommands() {
  if (!existsSync(LIBRARY)) throw new Error("there is no dist/lib: npm run build comes first");
  const library = await import(LIBRARY);
  const definitions = await Promise.all(library.COMMAND_NAMES.map(library.loadDefinition));
  return definitions.map((definition) => describe(definition, library));
}

function describe(definition, { definitionSynopsis, isLink }) {
  const { name, summary, options } = definition;
  const isChain = isLink(definition);
  return {
    name,
    summary,
    isChain,
    /** Chain commands: does a program follow the operands? */
    takesProgram: isChain && definition.program !== "none",
    synopsis: definitionSynopsis(definition),
    groups: Object.values(options).map(({ forms }) => forms),
    forms: [...Object.values(options).flatMap(({ forms }) => forms), ...builtins(isChain)],
    operands: isChain ? definition.operands : definition.operands.split(" ").filter(Boolean),
    operandsText: isChain ? linkOperands(definition) : definition.operands,
    body: readBody(name),
  };
}

function linkOperands({ operands, program }) {
  const words = { required: ["prog..."], optional: ["[prog...]"], none: [] }[program];
  return [...operands, ...words].join(" ");
}

/** The options that every command has besides its own. */
function builtins(isChain) {
  const explain = { long: "explain", help: "print what the chain would do, and do nothing" };
  const others = [
    { long: "help", help: "print a short help text" },
    { long: "version", help: "print the version" },
  ];
  return (isChain ? [explain, ...others] : others).map((form) => ({ ...form, ours: true }));
}

function readBody(name) {
  const path = join(ROOT, "docs", "manual", `${name}.md`);
  const body = parseBody(readFileSync(path, "utf8"));
  if (body.name !== name) throw new Error(`${path}: begins with ${body.name}, not with ${name}`);
  return body;
}

/** The section of the manual that the page of a command is in. */
export function manualSection(name) {
  return readBody(name).section;
}

/** `be quiet` as a sentence of the manual: `Be quiet.` */
export function sentence(help) {
  return `${help.charAt(0).toUpperCase()}${help.slice(1)}.`;
}

/** `-b max`, `--backlog=max`: all spellings of a form. */
export function spellings({ short, long, argument }) {
  const letter = argument === undefined ? `-${short}` : `-${short} ${argument}`;
  const word = argument === undefined ? `--${long}` : `--${long}=${argument}`;
  return [...(short === undefined ? [] : [letter]), ...(long === undefined ? [] : [word])];
}

/** The newest version in the changelog and its day, for the foot of manual pages. */
export function newestRelease() {
  const changelog = readFileSync(join(ROOT, "CHANGELOG.md"), "utf8");
  const found = /^## (\S+) \((\d{4})-(\d{2})-(\d{2})\)$/m.exec(changelog);
  if (found === null) throw new Error("CHANGELOG.md has no line like: ## 1.0.0 (2000-01-31)");
  const [, version, year, month, day] = found;
  return { version, year: Number(year), month: Number(month), day: Number(day) };
}
