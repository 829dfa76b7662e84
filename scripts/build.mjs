// Builds everything that runs: the addon for this machine, the library (tsc), one CommonJS bundle for
// each area and each command (esbuild), and the launchers in bin/.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { buildAddon } from "./build-addon.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const source = join(root, "src");
const bundles = join(root, "dist", "cjs");

/** The definitions the registry loads on demand: each is a bundle of its own. */
function definitionFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return definitionFiles(path);
    return /[/\\](links|commands)[/\\][^/\\]+\.ts$/.test(path) ? [path] : [];
  });
}

/** `chain/links/envdir.ts` is bundled as `chain-links-envdir`, `chain/index.ts` as `chain`. */
function bundleName(file) {
  const path = relative(source, file).replace(/\.ts$/, "");
  return path.endsWith(`${sep}index`) ? path.slice(0, -6) : path.split(sep).join("-");
}

/** Makes every import that leaves a bundle a require of the other bundle. */
function separateBundles(entry) {
  return {
    name: "separate-bundles",
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind }) => {
        const file = resolve(resolveDir, path);
        const leaves = file.endsWith(`${sep}index.ts`) || kind === "dynamic-import";
        if (!leaves || file === entry) return undefined;
        return { path: `./${bundleName(file)}.cjs`, external: true };
      });
    },
  };
}

function sourceFile(name) {
  return join(source, `${name}.ts`);
}

async function bundle(entry) {
  await build({
    entryPoints: [entry],
    outfile: join(bundles, `${bundleName(entry)}.cjs`),
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.18",
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: false,
    packages: "external",
    define: { "import.meta.url": "__moduleUrl" },
    banner: { js: '"use strict";const __moduleUrl=`file://${encodeURI(__filename)}`;' },
    plugins: [separateBundles(entry)],
    logLevel: "warning",
  });
}

function areaFiles() {
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === "index.ts" && entry.parentPath !== source)
    .map((entry) => join(entry.parentPath, entry.name));
}

function writeLaunchers(names) {
  const folder = join(root, "bin");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "commonjs" }\n');
  const main = 'require("../dist/cjs/command.cjs")';
  for (const name of names) writeLauncher(join(folder, name), `${main}.main("${name}");\n`);
  writeLauncher(join(folder, "ucspi"), `${main}.multicall();\n`);
}

function writeLauncher(file, call) {
  writeFileSync(file, `#!/usr/bin/env node\n${call}`);
  chmodSync(file, 0o755);
}

/** Is everything in dist newer than everything it is made from? */
function isFresh() {
  const stamp = modifiedMs(join(root, "dist", "built"));
  const inputs = [source, join(root, "scripts")].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => join(folder, name)),
  );
  return [...inputs, join(root, "package.json"), join(root, "tsconfig.build.json")].every(
    (file) => modifiedMs(file) < stamp,
  );
}

function modifiedMs(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

buildAddon({ target: "host" });
if (!isFresh()) {
  const startedAt = new Date();
  rmSync(join(root, "dist"), { recursive: true, force: true });
  execFileSync(join(root, "node_modules", ".bin", "tsc"), ["-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  const definitions = definitionFiles(source);
  const entries = [...areaFiles(), ...definitions];
  entries.push(...["command/help", "command/overview", "chain/explain"].map(sourceFile));
  await Promise.all(entries.map(bundle));
  const { COMMAND_NAMES } = await import(join(root, "dist", "lib", "command", "index.js"));
  writeLaunchers(COMMAND_NAMES);
  writeFileSync(join(root, "dist", "built"), startedAt.toISOString());
}
