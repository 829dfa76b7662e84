/** The source tree as the tidiness test looks at it: files and what they import. */

import { readdirSync, readFileSync } from "node:fs";
import { join, normalize, relative, sep } from "node:path";
import { ROOT } from "../support/scene.ts";

/**
 * Layers of the areas; imports point to lower ones. Whatever waits needs the clock, so it comes first; what
 * stands on it are areas of their own, below its folder. Chains are below the protocols: TLS puts itself
 * between the links of one.
 */
const LAYERS: Readonly<Record<string, number>> = {
  posix: 0,
  net: 1,
  regex: 0.5,
  clock: 0.5,
  "clock/civil": 1,
  "clock/stamps": 1.5,
  "clock/sync": 2,
  options: 1,
  host: 1.5,
  chain: 1.75,
  access: 2,
  proxy: 2,
  ident: 2,
  tls: 2,
  cert: 2,
  sudo: 2,
  ucspi: 3,
  supervise: 3,
  "supervise/fdholder": 3,
  command: 4,
};

/** Links know all libraries, commands the command layer too, and the package's index everything. */
const LINK_LAYER = 3.5;
const COMMAND_LAYER = 5;
const TOP_LAYER = 6;

export type Role = "library" | "link" | "command" | "top";

export interface Import {
  /** As written. */
  readonly specifier: string;
  /** Relative to src; undefined for a package. */
  readonly target: string | undefined;
  readonly isDynamic: boolean;
}

export interface SourceFile {
  /** Relative to src: `access/cdb.ts`. */
  readonly path: string;
  readonly text: string;
  readonly area: string;
  readonly role: Role;
  readonly layer: number;
  readonly imports: readonly Import[];
}

/** All files below `folder`, relative to the root of the package. */
export function filesBelow(folder: string, extension: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(extension))
    .map((name) => join(folder, name));
}

export function readSources(): readonly SourceFile[] {
  return filesBelow("src", ".ts").map((file) => readSource(relative("src", file)));
}

/** `clock/sync` for a file of that area, `clock` for others of the folder. */
export function areaOf(path: string): string {
  const [folder = "", inner = ""] = path.split(sep);
  const area = `${folder}/${inner}`;
  return area in LAYERS ? area : folder;
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, "src", path), "utf8");
  const area = areaOf(path);
  const role = roleOf(path);
  return { path, text, area, role, layer: layerOf(area, role), imports: importsOf(path, text) };
}

function roleOf(path: string): Role {
  if (!path.includes(sep)) return "top";
  if (/[/\\]links[/\\]/.test(path)) return "link";
  return /[/\\]commands[/\\]/.test(path) ? "command" : "library";
}

function layerOf(area: string, role: Role): number {
  switch (role) {
    case "top":
      return TOP_LAYER;
    case "link":
      return LINK_LAYER;
    case "command":
      return COMMAND_LAYER;
    case "library":
      return layerOfArea(area);
  }
}

/** NaN, which is below nothing, for a folder that is no area. */
export function layerOfArea(area: string): number {
  return LAYERS[area] ?? Number.NaN;
}

const STATIC = /^(?:import|export)\b[^;"']*?(?:\bfrom )?"([^"]+)"/gm;
const DYNAMIC = /\bimport\("([^"]+)"\)/g;

function importsOf(path: string, text: string): readonly Import[] {
  const find = (pattern: RegExp, isDynamic: boolean): Import[] =>
    [...text.matchAll(pattern)].map(([, specifier = ""]) => ({
      specifier,
      target: specifier.startsWith(".") ? normalize(join(path, "..", specifier)) : undefined,
      isDynamic,
    }));
  return [...find(STATIC, false), ...find(DYNAMIC, true)];
}
