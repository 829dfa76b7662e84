// Builds everything that runs: the addon for this machine, the library (tsc), the bundles (esbuild), the
// portable launchers, and bin/, the folder of commands to put on PATH.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { addonBuild, buildAddon, buildLauncher } from "./build-addon.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const source = join(root, "src");
/** Everything is made in a folder of this run's own and then put in place of dist, whole. */
const fresh = join(root, "build", `dist-${process.pid}`);
const library = join(fresh, "lib");
const bundles = join(fresh, "cjs");
const launchers = join(fresh, "bin");

const registry = join(source, "command", "registry.ts");
const entry = join(source, "command", "index.ts");

/** `chain/links/envdir.ts` is bundled as `chain-links-envdir`, `access/index.ts` as `access`. */
function bundleName(file) {
  const path = relative(source, file).replace(/\.ts$/, "");
  const name = path.endsWith(`${sep}index`) ? path.slice(0, -6) : path;
  return name.split(sep).join("-");
}

function isIndex(file) {
  return file.endsWith(`${sep}index.ts`);
}

const SETTINGS = {
  bundle: true,
  write: false,
  platform: "node",
  format: "cjs",
  target: "node20.18",
  // A real import() would start the machinery of ES modules, for 5 ms.
  supported: { "dynamic-import": false },
  minify: true,
  packages: "external",
  define: { "import.meta.dirname": "__dirname", ADDON_BUILD: JSON.stringify(addonBuild()) },
  logLevel: "warning",
};

/**
 * The areas that every command needs, and so are one bundle: those that the entry of all commands
 * imports, and src/net, which nearly every link imports.
 */
async function coreAreas() {
  const shallow = {
    name: "without-dynamic-imports",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind }) =>
        kind === "dynamic-import" ? { path: "later", external: true } : undefined,
      );
    },
  };
  const { metafile } = await build({
    ...SETTINGS,
    entryPoints: [entry, join(source, "net", "index.ts")],
    outdir: bundles,
    metafile: true,
    plugins: [shallow],
  });
  return Object.keys(metafile.inputs)
    .map((path) => resolve(path))
    .filter(isIndex);
}

/**
 * Makes every import that leaves a bundle a require of the bundle that has it, and tells `found` which
 * file that is and how it was imported. What an area of the core exports is a property of the core.
 */
function separateBundles({ core, isInside, found }) {
  return {
    name: "separate-bundles",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind, importer }) => {
        const file = resolve(resolveDir, path);
        const leaves = isIndex(file) || kind === "dynamic-import";
        if (!leaves || isInside(file)) return undefined;
        if (core.includes(file)) return { path: bundleName(file), namespace: "core-area" };
        found(file, importer);
        return { path: `./${bundleName(file)}.cjs`, external: true };
      });
      onResolve({ filter: /.*/, namespace: "core-area" }, ({ path }) => ({ path, external: true }));
      onLoad({ filter: /.*/, namespace: "core-area" }, ({ path }) => ({
        contents: `module.exports = require("./core.cjs")[${JSON.stringify(path)}];`,
      }));
    },
  };
}

/** The bundles by name: the core, and whatever it and they can ever import. */
async function bundleAll() {
  const core = await coreAreas();
  const texts = new Map();
  const definitions = new Set();
  const queue = new Set();
  const found = (file, importer) => {
    queue.add(file);
    if (importer === registry) definitions.add(file);
  };
  const lines = core.map((file) => {
    return `export * as ${asIdentifier(bundleName(file))} from ${JSON.stringify(file)};`;
  });
  const coreEntry = { stdin: { contents: lines.join("\n"), resolveDir: source, loader: "js" } };
  const isInside = (file) => core.includes(file);
  texts.set("core", await bundleText(coreEntry, separateBundles({ core, isInside, found })));
  const alone = await filesOfWhatRunsAlone(definitions);
  for (const file of queue) {
    const isOwn = alone.has(file)
      ? (imported) => imported === file || (isIndex(imported) && !core.includes(imported))
      : (imported) => imported === file;
    const plugin = separateBundles({ core, isInside: isOwn, found });
    texts.set(bundleName(file), await bundleText({ entryPoints: [file] }, plugin));
  }
  return texts;
}

async function bundleText(input, ...plugins) {
  const { outputFiles } = await build({ ...SETTINGS, ...input, outdir: bundles, plugins });
  return outputFiles[0].text;
}

function asIdentifier(name) {
  return /^\w+$/.test(name) ? name : JSON.stringify(name);
}

/**
 * The definitions that no chain loads beside others: commands that are no links, and links that end
 * their chain in a process of their own. Their bundles have all they use of other areas, and nothing else.
 */
async function filesOfWhatRunsAlone(files) {
  const { isLink } = await importBuilt(entry);
  const { COMMAND_NAMES, loadDefinition } = await importBuilt(registry);
  const definitions = await Promise.all(COMMAND_NAMES.map(loadDefinition));
  const alone = definitions.filter(
    (definition) =>
      !isLink(definition) || (definition.program === "none" && definition.reach === "process"),
  );
  const exported = await Promise.all(
    [...files].map(async (file) => [file, Object.values(await importBuilt(file))]),
  );
  const isAlone = ([, values]) => alone.some((definition) => values.includes(definition));
  return new Set(exported.filter(isAlone).map(([file]) => file));
}

function importBuilt(file) {
  const built = join(library, relative(source, file)).replace(/\.ts$/, ".js");
  return import(pathToFileURL(built));
}

/** Writes the bundles, each with the name of this build as its first line, and their loader. */
async function writeBundles() {
  const texts = await bundleAll();
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const hash = createHash("sha256");
  for (const [name, text] of texts) hash.update(`${name}\0${text}\0`);
  const head = `// ucspi ${version} ${hash.digest("hex").slice(0, 16)}`;
  mkdirSync(bundles, { recursive: true });
  for (const [name, text] of texts) writeFileSync(join(bundles, `${name}.cjs`), `${head}\n${text}`);
  const { outputFiles } = await build({
    ...SETTINGS,
    entryPoints: [join(source, "command", "loader.ts")],
    outdir: bundles,
    define: { ...SETTINGS.define, BUNDLE_HEAD: JSON.stringify(head) },
  });
  writeFileSync(join(bundles, "load.cjs"), outputFiles[0].contents);
  writeFileSync(join(bundles, "package.json"), '{ "type": "commonjs" }\n');
}

/** The launchers that run wherever `node` is in PATH: what package.json names. */
function writeLaunchers(names) {
  mkdirSync(launchers, { recursive: true });
  writeFileSync(join(launchers, "package.json"), '{ "type": "commonjs" }\n');
  for (const name of names) {
    const file = join(launchers, name);
    const lines = [
      "#!/usr/bin/env node",
      'const { openBundles, start } = require("../cjs/load.cjs");',
      `start(openBundles(require), ${JSON.stringify(name)}, __dirname);`,
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    chmodSync(file, 0o755);
  }
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

/** Coverage of the build itself is of no use, and V8 compiles other code for it. */
function buildEnvironment() {
  return { ...process.env, NODE_V8_COVERAGE: undefined, NODE_OPTIONS: undefined };
}

function putInPlace(made, place) {
  rmSync(place, { recursive: true, force: true });
  renameSync(made, place);
}

async function buildAll() {
  const types = ["-p", "tsconfig.build.json", "--outDir", library];
  execFileSync(join(root, "node_modules", ".bin", "tsc"), types, { cwd: root, stdio: "inherit" });
  await writeBundles();
  const { COMMAND_NAMES } = await importBuilt(registry);
  writeLaunchers([...COMMAND_NAMES, "ucspi"]);
}

/**
 * The folder of commands: native launchers, which find the package above their folder. Where there is none
 * for this processor, links to the portable ones.
 */
async function makeBin() {
  const folder = join(fresh, "native");
  const names = readdirSync(launchers).filter((name) => name !== "package.json");
  if (native === undefined) {
    mkdirSync(folder, { recursive: true });
    for (const name of names) symlinkSync(join("..", "dist", "bin", name), join(folder, name));
  } else {
    const { fillLauncherFolder } = await importBuilt(
      join(source, "command", "commands", "folder", "launcher-folder.ts"),
    );
    const settings = { node: process.execPath, nodeVersion: process.version };
    fillLauncherFolder(folder, native, names, settings);
  }
  return folder;
}

let native;
try {
  buildAddon();
  native = buildLauncher();
} catch (error) {
  console.error(`ucspi: ${error.message}`);
  process.exit(1);
}
if (!isFresh()) {
  const startedAt = new Date();
  try {
    await buildAll();
    writeFileSync(join(fresh, "built"), startedAt.toISOString());
    putInPlace(await makeBin(), join(root, "bin"));
    putInPlace(fresh, join(root, "dist"));
    execFileSync(process.execPath, [join(root, "scripts", "precompile.mjs"), join(root, "dist")], {
      env: buildEnvironment(),
      stdio: "ignore",
    });
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(`ucspi: the build failed: ${error.message}`);
    process.exit(1);
  }
}
