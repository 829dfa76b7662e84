/**
 * Running processes go on, and never in two versions at once, when the files of the package are
 * replaced under them.
 */

import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newScene, ROOT } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";

/** A copy of the package in a scene, as built. */
function copyPackage(scene: Scene): string {
  const copy = scene.path("package");
  for (const part of ["bin", "dist/bin", "dist/cjs", "prebuilds", "package.json"]) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Replace these files as npm does: the old ones stay for whoever has them open. */
function replaceFiles(
  folder: string,
  pattern: RegExp,
  replacement: (text: string) => string,
): void {
  for (const name of readdirSync(folder).filter((file) => pattern.test(file))) {
    const file = join(folder, name);
    writeFileSync(`${file}.new`, replacement(readFileSync(file, "latin1")), "latin1");
    renameSync(`${file}.new`, file);
  }
}

/** Bundles name their build in the first line, the loader has it in its text. */
function ofAnotherBuild(text: string): string {
  return text.replace(/\/\/ ucspi \S+ \w{16}/g, "// ucspi 9.9.9 0123456789abcdef");
}

const ALL = /\.cjs$/;
const ALL_BUT_THE_LOADER = /(?<!load)\.cjs$/;

function startServer(scene: Scene, copy: string, words: readonly string[]): SceneProcess {
  const bin = join(copy, "bin");
  const env = { PATH: `${bin}:/usr/bin:/bin` };
  return scene.execute(join(bin, "s6-tcpserver"), ["-v", "-1", "127.0.0.1", "0", ...words], {
    env,
  });
}

async function answer(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

async function portOf(server: SceneProcess): Promise<number> {
  return Number((await server.line(/^(\d+)$/))[1]);
}

test("a server serves as before when its package is replaced by another build", async () => {
  await using scene = await newScene({ files: { "env/NAME": "value" } });
  const copy = copyPackage(scene);
  const script = 'printf "%s %s" "$TCPLOCALHOST" "$NAME"';
  const chain = ["s6-tcpserver-access", "-l", "me", "-r", "s6-envdir", "env", "sh", "-c", script];
  const server = startServer(scene, copy, chain);
  const port = await portOf(server);
  replaceFiles(join(copy, "dist", "cjs"), ALL, () => "throw new Error('the other build');");
  for (const target of readdirSync(join(copy, "prebuilds"))) {
    replaceFiles(join(copy, "prebuilds", target), /\.node$/, () => "no addon");
  }
  expect([await answer(port), await answer(port)]).toEqual(["me value", "me value"]);
  expect(server.output).not.toMatch(/fatal|other build/);
});

test("a link that a rule executes later is the new build's", async () => {
  const files = { "rules/ip4/127.0.0.1_32/allow": "", "rules/ip4/127.0.0.1_32/exec": "" };
  await using scene = await newScene({ files });
  scene.write("rules/ip4/127.0.0.1_32/exec", 's6-softlimit -o 55 sh -c "ulimit -Sn"\n');
  const copy = copyPackage(scene);
  const server = startServer(scene, copy, ["s6-tcpserver-access", "-i", "rules", "cat"]);
  const port = await portOf(server);
  replaceFiles(join(copy, "dist", "cjs"), ALL, ofAnotherBuild);
  expect([await answer(port), await answer(port)]).toEqual(["55\n", "55\n"]);
  expect(server.output).not.toMatch(/fatal/);
});

test("files of two builds are refused with one line", async () => {
  await using scene = await newScene();
  const copy = copyPackage(scene);
  const run = (): ReturnType<Scene["run"]> =>
    scene.execute(join(copy, "bin", "s6-softlimit"), ["-o", "50", "true"]).finished();
  (await run()).exits(0);
  replaceFiles(join(copy, "dist", "cjs"), ALL_BUT_THE_LOADER, ofAnotherBuild);
  (await run()).exits(111).stderrMatches(/^s6-softlimit: fatal: \S+core\.cjs belongs to another/);
});

test("an addon of another build is refused with one line", async () => {
  await using scene = await newScene();
  const copy = copyPackage(scene);
  rmSync(join(copy, "dist", "cjs", "compiled"), { recursive: true });
  const core = join(copy, "dist", "cjs", "core.cjs");
  const text = readFileSync(core, "utf8");
  const [, build = ""] = /\.build!==?"(\w{16})"/.exec(text) ?? [];
  expect(build).not.toBe("");
  writeFileSync(core, text.replaceAll(build, "0123456789abcdef"));
  const run = await scene
    .execute(join(copy, "bin", "s6-softlimit"), ["-o", "50", "true"])
    .finished();
  run.exits(111).stderrMatches(/^s6-softlimit: fatal: \S+posix\.node belongs to another version/);
});
