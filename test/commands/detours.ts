/** Makes the time between a child's new identity and its program long enough for others to act in. */

import { chmodSync } from "node:fs";
import { BIN } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

const DETOURS = 1_000;

/**
 * A PATH with many files of this name that only root may execute, all of which a child of another
 * identity has to try first.
 */
export function detours(scene: Scene, program: string): { readonly PATH: string } {
  const folders = Array.from({ length: DETOURS }, (_, index) => {
    scene.write(`path/${index}/${program}`, "");
    chmodSync(scene.path(`path/${index}/${program}`), 0o700);
    return scene.path(`path/${index}`);
  });
  return { PATH: [BIN, ...folders, "/usr/bin", "/bin"].join(":") };
}
