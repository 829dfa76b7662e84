// Runs the benches (all, or those named on the command line) and writes results.md. Each *.bench.ts
// answers one question; it is bundled, so that what is measured is compiled like what is shipped.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = dirname(fileURLToPath(import.meta.url));
const output = join(folder, "..", "build", "bench");

// Either would change what start-up costs.
delete process.env["NODE_OPTIONS"];
delete process.env["NODE_EXTRA_CA_CERTS"];

async function bundle(name) {
  const outfile = join(output, `${name}.mjs`);
  await build({
    entryPoints: [join(folder, name)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20.18",
    packages: "external",
    logLevel: "warning",
  });
  return outfile;
}

function formatSection({ question, command, rows }) {
  const lines = rows.map(({ what, ours, peer, ratio, goal }) => {
    return `| ${what} | ${ours} | ${peer} | ${ratio} | ${goal} |`;
  });
  return [
    `## ${question}`,
    "",
    `\`${command}\``,
    "",
    "| what | ours | peer | ratio | goal |",
    "| --- | --- | --- | --- | --- |",
    ...lines,
    "",
  ].join("\n");
}

const wanted = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".bench.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.startsWith(word)))
  .sort();
mkdirSync(output, { recursive: true });
const load = await bundle("support/load.ts");
const sections = [];
for (const name of names) {
  const { question, measure } = await import(pathToFileURL(await bundle(name)));
  const rows = await measure({ load, root: join(folder, "..") });
  const command = `npm run bench -- ${basename(name, ".bench.ts")}`;
  const section = formatSection({ question, command, rows });
  console.log(section);
  sections.push(section);
}
rmSync(output, { recursive: true, force: true });
if (wanted.length === 0) {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, Node ${process.version}`;
  const head = `# Results\n\nMeasured on ${machine}. Rates are medians of runs that alternate with the peer's.\n\n`;
  writeFileSync(join(folder, "results.md"), `${head}${sections.join("\n")}`);
}
