// Builds everything that runs: the addon for this machine, the library (tsc), one CommonJS bundle for
// each area and each command (esbuild), and the launchers in bin/.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { buildAddon } from "./build-addon.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const source = join(root, "src");
/** Everything is made in a folder of this run's own and then put in place of dist, whole. */
const fresh = join(root, "build", `dist-${process.pid}`);
const bundles = join(fresh, "cjs");

/** The definitions the registry loads on demand: each is a bundle of its own. */
function definitionFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return definitionFiles(path);
    return /[/\\](links|commands)[/\\][^/\\]+\.ts$/.test(path) ? [path] : [];
  });
}

/** The areas every command needs: one bundle, because each file that is loaded costs start-up time. */
const CORE = ["posix", "options", "clock", "chain", "command"];
const CORE_BUNDLE = "./core.cjs";

/** `chain/links/envdir.ts` is bundled as `chain-links-envdir`, `access/index.ts` as `access`. */
function bundleName(file) {
  const path = relative(source, file).replace(/\.ts$/, "");
  return path.endsWith(`${sep}index`) ? path.slice(0, -6) : path.split(sep).join("-");
}

/**
 * Makes every import that leaves a bundle a require of the other bundle: imports of another area's
 * index, and dynamic imports. What an area of the core exports is a property of the core bundle.
 */
function separateBundles(inside) {
  return {
    name: "separate-bundles",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind, namespace }) => {
        if (namespace === "core-area") return { path, external: true };
        const file = resolve(resolveDir, path);
        const leaves = file.endsWith(`${sep}index.ts`) || kind === "dynamic-import";
        if (!leaves || inside.includes(file)) return undefined;
        const name = bundleName(file);
        if (CORE.includes(name)) return { path: name, namespace: "core-area" };
        return { path: `./${name}.cjs`, external: true };
      });
      onLoad({ filter: /.*/, namespace: "core-area" }, ({ path }) => ({
        contents: `module.exports = require("${CORE_BUNDLE}").${path};`,
        resolveDir: bundles,
      }));
    },
  };
}

function sourceFile(name) {
  return join(source, `${name}.ts`);
}

async function bundleFile(entry) {
  const outfile = join(bundles, `${bundleName(entry)}.cjs`);
  await bundle({ entryPoints: [entry], outfile, plugins: [separateBundles([entry])] });
}

async function bundleCore() {
  const files = CORE.map((area) => sourceFile(`${area}/index`));
  const contents = CORE.map((area) => `export * as ${area} from "./${area}/index.ts";`).join("\n");
  await bundle({
    stdin: { contents, resolveDir: source, loader: "ts" },
    outfile: join(bundles, CORE_BUNDLE),
    plugins: [separateBundles(files)],
  });
}

async function bundle(options) {
  await build({
    ...options,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.18",
    // A real import() would start the machinery of ES modules, for 5 ms.
    supported: { "dynamic-import": false },
    minify: true,
    packages: "external",
    define: { "import.meta.url": "__moduleUrl" },
    banner: { js: '"use strict";const __moduleUrl=`file://${encodeURI(__filename)}`;' },
    logLevel: "warning",
  });
}

function areaFiles() {
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === "index.ts" && entry.parentPath !== source)
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !CORE.includes(bundleName(file)));
}

function writeLaunchers(names) {
  const folder = join(root, "bin");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "commonjs" }\n');
  const main = 'require("../dist/cjs/core.cjs").command';
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

try {
  buildAddon();
} catch (error) {
  console.error(`ucspi: ${error.message}`);
  process.exit(1);
}
if (!isFresh()) {
  const startedAt = new Date();
  try {
    await buildAll();
    writeFileSync(join(fresh, "built"), startedAt.toISOString());
    rmSync(join(root, "dist"), { recursive: true, force: true });
    renameSync(fresh, join(root, "dist"));
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(`ucspi: the build failed: ${error.message}`);
    process.exit(1);
  }
}

async function buildAll() {
  const types = ["-p", "tsconfig.build.json", "--outDir", join(fresh, "lib")];
  execFileSync(join(root, "node_modules", ".bin", "tsc"), types, { cwd: root, stdio: "inherit" });
  const definitions = definitionFiles(source);
  const lazy = ["command/help", "command/overview", "chain/explain"].map(sourceFile);
  await Promise.all([bundleCore(), ...[...areaFiles(), ...definitions, ...lazy].map(bundleFile)]);
  const { COMMAND_NAMES } = await import(join(fresh, "lib", "command", "index.js"));
  writeLaunchers(COMMAND_NAMES);
}
