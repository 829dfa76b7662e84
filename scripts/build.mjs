// Builds everything that runs: the addon for this machine, the library (tsc), one CommonJS bundle for
// each area and each command (esbuild), and the launchers in bin/.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readFileSync,
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
const launchers = join(fresh, "bin");

/** The definitions the registry loads on demand: each is a bundle of its own. */
function definitionFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return definitionFiles(path);
    return /[/\\](links|commands)[/\\][^/\\]+\.ts$/.test(path) ? [path] : [];
  });
}

/**
 * The areas every command needs. Each launcher is one bundle of them together with its own
 * definition, because every file that is loaded costs start-up time. What is loaded later finds them
 * by CORE_KEY, so that there is only one copy of them in a process.
 */
const CORE = ["posix", "options", "clock", "host", "chain", "command"];
const CORE_KEY = 'globalThis[Symbol.for("ucspi.core")]';

/** `chain/links/envdir.ts` is bundled as `chain-links-envdir`, `access/index.ts` as `access`. */
function bundleName(file) {
  const path = relative(source, file).replace(/\.ts$/, "");
  const name = path.endsWith(`${sep}index`) ? path.slice(0, -6) : path;
  return name.split(sep).join("-");
}

/**
 * Makes every import that leaves a bundle a require of the other bundle: imports of another area's
 * index, and dynamic imports. What an area of the core exports is a property of the core bundle.
 */
function separateBundles(inside, folder = ".") {
  return {
    name: "separate-bundles",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind }) => {
        const file = resolve(resolveDir, path);
        const leaves = file.endsWith(`${sep}index.ts`) || kind === "dynamic-import";
        if (!leaves || inside(file)) return undefined;
        const name = bundleName(file);
        if (CORE.includes(name)) return { path: name, namespace: "core-area" };
        return { path: `${folder}/${name}.cjs`, external: true };
      });
      onLoad({ filter: /.*/, namespace: "core-area" }, ({ path }) => ({
        contents: `module.exports = ${CORE_KEY}.${path};`,
      }));
    },
  };
}

function sourceFile(name) {
  return join(source, `${name}.ts`);
}

async function bundleFile(entry) {
  const outfile = join(bundles, `${bundleName(entry)}.cjs`);
  const plugins = [separateBundles((file) => file === entry)];
  await bundle({ entryPoints: [entry], outfile, plugins });
}

/**
 * One launcher: the core, the definition of its command if it has one, and the call. A command that is
 * no link runs alone, so what it uses of other areas is in its launcher too, and nothing else of them; the
 * same goes for the engines of TLS, which end their chain.
 * So is what the links of src/chain use of src/net: they share no class with anyone else.
 */
async function bundleLauncher(name, call, definition) {
  const core = CORE.map((area) => sourceFile(`${area}/index`));
  const isAlone = /[/\\]commands[/\\]|-io\.ts$/.test(definition ?? "");
  const isPlain = definition?.startsWith(join(source, "chain", "links")) ?? false;
  const inside = (file) =>
    file === definition ||
    core.includes(file) ||
    (isAlone && file.endsWith(`${sep}index.ts`)) ||
    (isPlain && file === sourceFile("net/index"));
  const imports = CORE.map((area) => `import * as ${area} from "./${area}/index.ts";`);
  const lines = [...imports, `${CORE_KEY} = { ${CORE.join(", ")} };`, `command.${call};`];
  const outfile = join(launchers, name);
  await bundle({
    stdin: { contents: lines.join("\n"), resolveDir: source, loader: "js" },
    outfile,
    plugins: [separateBundles(inside, "../dist/cjs")],
    banner: { js: "#!/usr/bin/env node" },
  });
  chmodSync(outfile, 0o755);
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
    define: { "import.meta.dirname": "__dirname" },
    logLevel: "warning",
  });
}

function areaFiles() {
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === "index.ts" && entry.parentPath !== source)
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !CORE.includes(bundleName(file)));
}

/** The file that the registry loads for a command. */
function definitionOf(name) {
  const registry = readFileSync(sourceFile("command/registry"), "utf8");
  const [, path] =
    new RegExp(`"${name}": async \\(\\) =>\\s*\\(await import\\("([^"]+)"`).exec(registry) ?? [];
  if (path === undefined) throw new Error(`the registry does not say where ${name} is`);
  return resolve(source, "command", path);
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
    putInPlace(join(fresh, "bin"), join(root, "bin"));
    putInPlace(fresh, join(root, "dist"));
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(`ucspi: the build failed: ${error.message}`);
    process.exit(1);
  }
}

function putInPlace(made, place) {
  rmSync(place, { recursive: true, force: true });
  renameSync(made, place);
}

async function buildAll() {
  const types = ["-p", "tsconfig.build.json", "--outDir", join(fresh, "lib")];
  execFileSync(join(root, "node_modules", ".bin", "tsc"), types, { cwd: root, stdio: "inherit" });
  const definitions = definitionFiles(source);
  const lazy = ["command/help", "command/overview", "chain/explain"].map(sourceFile);
  await Promise.all([...areaFiles(), ...definitions, ...lazy].map(bundleFile));
  const { COMMAND_NAMES } = await import(join(fresh, "lib", "command", "index.js"));
  mkdirSync(launchers, { recursive: true });
  writeFileSync(join(launchers, "package.json"), '{ "type": "commonjs" }\n');
  const commands = COMMAND_NAMES.map((name) => {
    return bundleLauncher(name, `main("${name}")`, definitionOf(name));
  });
  await Promise.all([bundleLauncher("ucspi", "multicall()", undefined), ...commands]);
}
