// Leaves V8's compiled code of all bundles of a dist folder in it, for the V8 that runs this: a short
// command is run once, to have the functions compiled that every command needs, behind either kind of
// launcher. Run by the build, in a process of its own: `node scripts/precompile.mjs DIST`.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const dist = resolve(process.argv[2]);
const folder = join(dist, "cjs");
const require = createRequire(join(dist, "bin", "any"));
const { openBundles, start } = require(join(folder, "load.cjs"));
const bundles = openBundles(require);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".cjs") && name !== "load.cjs")
  .map((name) => name.slice(0, -4));
for (const name of names) bundles.load(name);

process.on("exit", () => {
  const output = bundles.compiledFolder;
  mkdirSync(output, { recursive: true });
  for (const [name, code] of bundles.compiled()) writeFileSync(join(output, name), code);
  process.exitCode = 0;
});

const core = bundles.load("core");
const origin = { parent: process.ppid, variables: [], notes: undefined };
core.chain_inherit$initialLaunch(core.posix_native$loadPosix(), origin, [
  "behind",
  "a",
  "portable",
  "launcher",
]);

// The notes of a native launcher, as src/launcher/launcher.c writes them.
const stat = readFileSync("/proc/self/stat", "latin1");
const startedAt = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
process.env.UCSPI_INHERITED = `1;${process.pid};${startedAt};1024;0-2;0;0;${join(dist, "bin")}`;
process.env.UCSPI_ASIDE_NODE_OPTIONS = "";
// The program does not exist, so that this process stays, and comes to its exit.
process.argv = [
  process.execPath,
  "s6-softlimit",
  "-o",
  "64",
  join(folder, "no", "such", "program"),
];
await start(bundles, "s6-softlimit", join(dist, "bin"));
