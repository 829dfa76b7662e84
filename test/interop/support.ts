/** The programs of the C suite, which only S6_NETWORKING_BIN tells where to find, and servers of them. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Peer, RunOptions, Scene, SceneProcess } from "../support/scene.ts";

const SUITE = process.env["S6_NETWORKING_BIN"];

/** Why the tests against the C suite are skipped; empty when they are not. */
export const withoutSuite =
  SUITE !== undefined && existsSync(join(SUITE, "s6-tcpserverd"))
    ? ""
    : " (skipped: S6_NETWORKING_BIN does not name a directory with s6-tcpserverd)";

/** A program of the C suite. */
export function original(name: string): Peer {
  return { name, path: join(SUITE ?? "", name), isMissing: withoutSuite !== "", why: withoutSuite };
}

/** Whose programs a command line runs. */
export type Suite = "ours" | "C";

/** Start a command of one of the suites; the words of its chain are those of the same suite. */
export function startOf(
  suite: Suite,
  scene: Scene,
  command: string,
  words: readonly string[],
  options: RunOptions = {},
): SceneProcess {
  if (suite === "ours") return scene.start(command, words, options);
  const PATH = `${SUITE ?? ""}:${process.env["PATH"] ?? ""}`;
  const { env, ...rest } = options;
  return scene.execute(original(command).path, words, { ...rest, env: { PATH, ...env } });
}
