/** The words that a TLS wrapper executes for its command line, printed by a script in their place. */

import { copyFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Run, Scene, SceneOptions } from "../support/scene.ts";
import { BIN, newScene, ROOT } from "../support/scene.ts";

/** Prints its own name and its words, one a line. */
export const RECORDER = `#!/bin/sh
printf '%s\\n' "\${0##*/}" "$@"
`;

/**
 * A scene with a package in it of which only `command` is ours: what that executes is a recorder. For
 * chains with an exec for every link.
 */
export async function newRecordingScene(command: string, recorded: string): Promise<Scene> {
  const files: SceneOptions["files"] = {
    "package/package.json": "{}",
    [`package/bin/${recorded}`]: RECORDER,
  };
  const scene = await newScene({ files, way: "exec" });
  copyFileSync(join(BIN, command), scene.path(`package/bin/${command}`));
  for (const folder of ["dist", "prebuilds"]) {
    symlinkSync(join(ROOT, folder), scene.path(`package/${folder}`));
  }
  return scene;
}

/** Run the command of a recording scene. */
export function runRecorded(scene: Scene, command: string, words: readonly string[]): Promise<Run> {
  return scene.execute(scene.path(`package/bin/${command}`), words).finished();
}

/** The words that were executed, each program by its name alone. */
export function wordsOf(scene: Scene, { stdout }: Run): readonly string[] {
  const lines = stdout.split("\n").slice(0, -1);
  return lines.map((word) => word.replace(`${scene.path("package/bin")}/`, ""));
}
