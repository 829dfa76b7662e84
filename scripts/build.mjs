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
import { build, transform } from "esbuild";
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
  format: "esm",
  target: "node20.18",
  packages: "external",
  define: { "import.meta.dirname": "__dirname", ADDON_BUILD: JSON.stringify(addonBuild()) },
  logLevel: "warning",
};

/** The folders of areas that every command needs something of: their files are shared one by one. */
const SHARED_AREAS = new Set(["posix", "clock", "options", "net", "host", "chain", "command"]);

/** The area of a file that is shared on its own: of the areas above, but no command or link. */
function sharedArea(file) {
  const [area, ...rest] = relative(source, file).split(sep);
  return rest.length === 1 && !isIndex(file) && SHARED_AREAS.has(area) ? area : undefined;
}

/** The shared files that a bundle of these entries has something of, behind dynamic imports none. */
async function sharedFilesOf(entryPoints) {
  const shallow = {
    name: "without-dynamic-imports",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind }) =>
        kind === "dynamic-import" ? { path: "later", external: true } : undefined,
      );
    },
  };
  const options = { ...SETTINGS, entryPoints, outdir: bundles, metafile: true, plugins: [shallow] };
  const { metafile } = await build(options);
  const files = Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => resolve(path))
    .filter((file) => sharedArea(file) !== undefined);
  return new Set(files);
}

/**
 * The files that are the core: what the entry of all commands imports and what two links of src/chain
 * import, which short chains consist of. One bundle, for each more to read costs a short command time.
 * A file that imports another that is not the core's cannot be in it.
 */
async function coreFiles(links) {
  const perLink = await Promise.all(links.map((link) => sharedFilesOf([link])));
  const counts = new Map();
  for (const file of perLink.flatMap((files) => [...files])) {
    counts.set(file, (counts.get(file) ?? 0) + 1);
  }
  const main = await sharedFilesOf([join(source, "command", "main.ts")]);
  let core = new Set([...main, ...[...counts.keys()].filter((file) => counts.get(file) >= 2)]);
  for (let size = 0; size !== core.size;) {
    size = core.size;
    const pairs = [...core].map(async (file) => [file, await sharedFilesOf([file])]);
    const closed = (await Promise.all(pairs)).filter(([, all]) =>
      [...all].every((f) => core.has(f)),
    );
    core = new Set(closed.map(([file]) => file));
  }
  return core;
}

/**
 * Makes every import that leaves a bundle a require of the bundle that has it, and tells `found` which
 * bundle that is, by the file that it is made of or the area whose shared files it has.
 */
function separateBundles({ homeOf, isInside, found }) {
  const virtual = { namespace: "shared", sideEffects: false };
  return {
    name: "separate-bundles",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind, importer, namespace }) => {
        if (namespace === "shared") return { path, external: true, sideEffects: false };
        const file = resolve(resolveDir, path);
        if (kind !== "dynamic-import" && isInside(file)) return undefined;
        const home = homeOf(file);
        if (kind !== "dynamic-import" && home !== undefined) {
          if (isInside(home)) return undefined;
          found(home);
          return { path: file, ...virtual, pluginData: home };
        }
        const isTransparent = isIndex(file) && SHARED_AREAS.has(relative(source, dirname(file)));
        if (kind !== "dynamic-import" && (!isIndex(file) || isTransparent)) return undefined;
        found(file, importer);
        return { path: `./${bundleName(file)}.cjs`, external: true, sideEffects: false };
      });
      onLoad({ filter: /.*/, namespace: "shared" }, async ({ path, pluginData: home }) => {
        const names = await sharedNames(path);
        const list = names.map(([outside, name]) => `${outside} as ${name}`);
        return { contents: `export {${list.join()}} from "./${home}.cjs";`, resolveDir: source };
      });
    },
  };
}

/** What a shared file exports: the name that its bundle gives it, and its own. */
async function sharedNames(file) {
  const tag = bundleName(file).replaceAll("-", "_");
  return Object.keys(await importBuilt(file)).map((name) => [`${tag}$${name}`, name]);
}

/** The entry of a bundle of shared files, with all that they export or what these texts use of it. */
async function sharedEntry(files, texts) {
  const words = texts === undefined ? undefined : wordCounts(texts);
  const lines = [...files].map(async (file) => {
    const names = (await sharedNames(file)).filter(([outside]) => words?.has(outside) ?? true);
    const list = names.map(([outside, name]) => `${name} as ${outside}`);
    return `export {${list.join()}} from ${JSON.stringify(file)};`;
  });
  const contents = (await Promise.all(lines)).join("\n");
  return { stdin: { contents, resolveDir: source, loader: "js" } };
}

/** What the loader and scripts/precompile.mjs use of the core. */
const USED_BY_NAME = [
  "command_main$main",
  "command_main$multicall",
  "chain_inherit$initialLaunch",
  "posix_native$loadPosix",
];

/** The bundles by name: the core, and whatever it and they can ever import. */
async function bundleAll() {
  const links = readdirSync(join(source, "chain", "links"))
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(source, "chain", "links", name));
  const core = await coreFiles(links);
  const rest = [...(await sharedFilesOf(indexesOf(SHARED_AREAS)))].filter((f) => !core.has(f));
  const texts = new Map();
  const definitions = new Set();
  const queue = new Set();
  const found = (what, importer) => {
    if (what !== "core") queue.add(what);
    if (importer === registry) definitions.add(what);
  };
  const homeOf = (file) => {
    if (core.has(file)) return "core";
    return rest.includes(file) ? sharedArea(file) : undefined;
  };
  const bundleOf = async (input, isInside) =>
    bundleText(input, separateBundles({ homeOf, isInside, found }));
  const isCore = (what) => what === "core";
  await bundleOf(await sharedEntry(core), isCore); // for what it finds
  const alone = await filesOfWhatRunsAlone(definitions);
  for (const what of queue) {
    if (SHARED_AREAS.has(what)) {
      const files = rest.filter((file) => sharedArea(file) === what);
      texts.set(what, await bundleOf(await sharedEntry(files), (inner) => inner === what));
      continue;
    }
    const isInside = alone.has(what)
      ? (inner) => inner === what || SHARED_AREAS.has(inner) || isIndex(inner)
      : (inner) => inner === what;
    texts.set(bundleName(what), await bundleOf({ entryPoints: [what] }, isInside));
  }
  const used = [...texts.values(), ...USED_BY_NAME].join("\n");
  texts.set("core", await bundleOf(await sharedEntry(core, used), isCore));
  return texts;
}

function indexesOf(areas) {
  return [...areas].map((area) => join(source, area, "index.ts"));
}

async function bundleText(input, ...plugins) {
  const options = { ...SETTINGS, ...input, outdir: bundles, metafile: true, plugins };
  const { outputFiles, metafile } = await build(options);
  const [{ imports }] = Object.values(metafile.outputs);
  return asCommonJs(outputFiles[0].text, imports);
}

/**
 * What esbuild has bundled as a module of ES, as a body of CommonJS. esbuild's own would find every name
 * through a getter, copied from one object to another when a bundle is loaded, and takes a millisecond.
 */
async function asCommonJs(text, imports) {
  const words = wordCounts(text);
  const isUsed = (name) => words.get(name.split(" as ").at(-1)) > 1;
  let statements = 0;
  const body = text
    .replace(/^import \{([^}]*)\} from ("[^"]+");$/gm, (_, list, path) => {
      statements += 1;
      const names = namesOf(list)
        .filter(isUsed)
        .map((name) => name.replace(" as ", ":"));
      return names.length === 0 ? "" : `const {${names.join()}} = require(${path});`;
    })
    .replace(/\bimport\(("[^"]+")\)/g, (dynamic, path) => {
      statements += 1;
      return path.startsWith('"./') ? `Promise.resolve().then(() => require(${path}))` : dynamic;
    })
    .replace(/^export \{([^}]*)\};$/m, (_, list) => {
      const pairs = namesOf(list).map((name) => name.split(" as ").toReversed().join(":"));
      return `module.exports = {${pairs.join()}};`;
    });
  if (statements < imports.length) throw new Error("an import of another form than expected");
  const { code } = await transform(`"use strict";\n${body}`, {
    format: "cjs",
    target: SETTINGS.target,
    // A real import() would start the machinery of ES modules, for 5 ms.
    supported: { "dynamic-import": false },
    minify: true,
  });
  return code;
}

/** The `a` and `a as b` of a list in braces. */
function namesOf(list) {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** How often each word is in a text. */
function wordCounts(text) {
  const counts = new Map();
  for (const [word] of text.matchAll(/[\w$]+/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
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
  for (const [name, text] of texts) {
    const body = `(function (require, module, exports, __dirname) {${text}})`;
    writeFileSync(join(bundles, `${name}.cjs`), `${head}\n${body}\n`);
  }
  const { outputFiles } = await build({
    ...SETTINGS,
    entryPoints: [join(source, "command", "loader.ts")],
    format: "cjs",
    minify: true,
    outdir: bundles,
    define: { ...SETTINGS.define, BUNDLE_HEAD: JSON.stringify(head) },
  });
  const loader = outputFiles[0].text;
  const start = "module.exports.launch(module.exports.openBundles(require));";
  const text = `${loader}if (require.main === module) ${start}\n`;
  writeFileSync(join(bundles, "load.cjs"), text);
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
