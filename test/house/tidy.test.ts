/** The rules of the house that a linter cannot see. Each test collects what breaks one of them. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMAND_NAMES, loadDefinition } from "../../src/command/registry.ts";
import { ROOT } from "../support/scene.ts";
import { areaOf, filesBelow, layerOfArea, readSources } from "./source-tree.ts";
import type { Import, SourceFile } from "./source-tree.ts";

const sources = readSources();

/** What one import does wrong. */
type Judge = (file: SourceFile, imported: Import, target: string) => boolean;

function importsThat(isWrong: Judge): readonly string[] {
  return sources.flatMap((file) =>
    file.imports
      .filter((imported) => {
        return imported.target !== undefined && isWrong(file, imported, imported.target);
      })
      .map(({ specifier }) => `src/${file.path} imports ${specifier}`),
  );
}

function isIndex(path: string): boolean {
  return basename(path) === "index.ts";
}

function isDefinition(path: string): boolean {
  return /[/\\](?:links|commands)[/\\]/.test(path);
}

describe("imports", () => {
  test("point down the layers only", () => {
    const upward = importsThat((file, { isDynamic }, target) => {
      const area = areaOf(target);
      if (area === file.area || (file.area === "command" && isDynamic)) return false;
      return !(layerOfArea(area) < file.layer);
    });
    expect(upward).toEqual([]);
  });

  test("of another area go through its index", () => {
    const inside = importsThat((file, { isDynamic }, target) => {
      if (areaOf(target) === file.area || (file.area === "command" && isDynamic)) return false;
      return !isIndex(target);
    });
    expect(inside).toEqual([]);
  });

  test("of links and commands reach their own area through its index", () => {
    const around = importsThat((file, _, target) => {
      if (file.role !== "link" && file.role !== "command") return false;
      return areaOf(target) === file.area && !isIndex(target) && !isDefinition(target);
    });
    expect(around).toEqual([]);
  });

  test("of links and commands are made by the registry alone, when they are asked for", () => {
    const early = importsThat(
      (file, { isDynamic }, target) =>
        isDefinition(target) &&
        !isDefinition(file.path) &&
        !(isDynamic && file.path === join("command", "registry.ts")),
    );
    expect(early).toEqual([]);
  });

  test("of the process as a module are nowhere but in the entry", () => {
    const reaching = sources.filter(
      ({ path, imports }) =>
        path !== join("command", "main.ts") &&
        imports.some(({ specifier }) => /^(?:node:)?process$/.test(specifier)),
    );
    expect(reaching.map(({ path }) => path)).toEqual([]);
  });
});

describe("files", () => {
  test("called index.ts only re-export, below the package's own", () => {
    const busy = sources.filter(({ path, text, role }) => {
      const rest = text
        .replaceAll(/\/\*[^]*?\*\//g, "")
        .replaceAll(/^export (?:type )?(?:\*|\{[^}]*\}) from "[^"]+";$/gm, "");
      return isIndex(path) && role !== "top" && rest.trim() !== "";
    });
    expect(busy.map(({ path }) => path)).toEqual([]);
  });

  test("are in a folder that has a layer", () => {
    const homeless = sources.filter(({ role, area }) => {
      return role !== "top" && Number.isNaN(layerOfArea(area));
    });
    expect(homeless.map(({ path }) => path)).toEqual([]);
  });

  test("say what they know before anything else", () => {
    const silent = sources.filter(({ path, text }) => !isIndex(path) && !text.startsWith("/**"));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test("touch the global process in the entries, and to load the addon, and nowhere else", () => {
    const global = /(?<![.#\w])process(?:\.\w|\[)|\bglobalThis\b|(?<![.#\w])global\./;
    const touching = sources.filter(({ text }) =>
      text.split("\n").some((line) => !/^\s*(?:\/?\*|\/\/)/.test(line) && global.test(line)),
    );
    expect(touching.map(({ path }) => path).toSorted()).toEqual([
      "command/loader.ts",
      "command/main.ts",
      "command/system.ts",
      "posix/native-addon.ts",
      "posix/native.ts",
    ]);
  });

  test("are not named after nothing in particular", () => {
    const drawers = [...filesBelow("src", ".ts"), ...filesBelow("test", ".ts")].filter((path) =>
      /^(?:utils?|helpers?|common|misc|shared)\.ts$/.test(basename(path)),
    );
    expect(drawers).toEqual([]);
  });

  test("switch a lint rule off with a reason, and no rule three times", () => {
    const lines = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/(?:oxlint|eslint)-disable.*/g)].map(([line]) => `src/${path}: ${line}`),
    );
    expect(lines.filter((line) => !/-disable-(?:next-)?line \S+ -- \S/.test(line))).toEqual([]);
    const rules = lines.map((line) => /-disable\S* (\S+)/.exec(line)?.[1] ?? "");
    expect(rules.filter((rule) => rules.filter((other) => other === rule).length > 2)).toEqual([]);
  });
});

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

describe("commands", () => {
  test("are registered under the names they have", async () => {
    const definitions = await Promise.all(COMMAND_NAMES.map(loadDefinition));
    expect(definitions.map((definition) => definition?.name)).toEqual(COMMAND_NAMES);
  });

  test("are all registered", async () => {
    const files = sources.filter(({ path, text }) => {
      return isDefinition(path) && /^export const \w+ = define(?:Link|Command)\(/m.test(text);
    });
    expect(files.length).toBe(COMMAND_NAMES.length);
  });

  test("are in package.json, each with its launcher", () => {
    const names = [...COMMAND_NAMES, "ucspi"];
    expect(manifest.bin).toEqual(
      Object.fromEntries(names.map((name) => [name, `dist/bin/${name}`])),
    );
  });

  test.each(["bin", "dist/bin"])("have a launcher in %s", (folder) => {
    const launchers = readdirSync(join(ROOT, folder)).filter((name) => name !== "package.json");
    expect(launchers.toSorted()).toEqual([...COMMAND_NAMES, "ucspi"].toSorted());
    const modes = launchers.map((name) => statSync(join(ROOT, folder, name)).mode & 0o111);
    expect(modes.every((mode) => mode === 0o111)).toBe(true);
  });

  test("have a body in docs/manual and a page in docs/commands", () => {
    const pages = COMMAND_NAMES.map((name) => `${name}.md`).toSorted();
    expect(readdirSync(join(ROOT, "docs", "manual")).toSorted()).toEqual(pages);
    const generated = readdirSync(join(ROOT, "docs", "commands")).toSorted();
    expect(generated).toEqual(["README.md", ...pages].toSorted());
  });

  test("have a black-box test", () => {
    const folder = join(ROOT, "test", "commands");
    const texts = existsSync(folder)
      ? filesBelow(join("test", "commands"), ".test.ts").map((file) =>
          readFileSync(join(ROOT, file), "utf8"),
        )
      : [];
    const untested = COMMAND_NAMES.filter(
      (name) => !texts.some((text) => new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(text)),
    );
    expect(untested).toEqual([]);
  });
});

test("the newest entry of the changelog is about this version", () => {
  const changelog = readFileSync(join(ROOT, "CHANGELOG.md"), "utf8");
  expect(/^## (\S+)/m.exec(changelog)?.[1]).toBe(manifest.version);
});
