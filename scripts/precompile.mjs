// Leaves V8's compiled code of all bundles of a dist folder in it, for the V8 that runs this: a short
// command is run once, to have the functions compiled that every command needs. Run by the build, in a
// process of its own: `node scripts/precompile.mjs DIST`.

import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
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
// The program does not exist, so that this process stays, and comes to its exit.
process.argv = [
  process.execPath,
  "s6-softlimit",
  "-o",
  "64",
  join(folder, "no", "such", "program"),
];
await start(bundles, "s6-softlimit", join(dist, "bin"));
