/** The programs of the C suite, which only S6_NETWORKING_BIN tells where to find, and servers of them. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Peer, RunOptions, Scene, SceneProcess } from "../support/scene.ts";

const SUITE = process.env["S6_NETWORKING_BIN"];

/** The reason why the tests against the C suite are skipped; empty when they are not. */
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

/** One of the two ways to build the C suite's TLS: on BearSSL, on libtls. */
export interface Build {
  readonly name: "BearSSL" | "libtls";
  /** The directory of its commands. */
  readonly directory: string;
  /** The reason why tests with it are skipped; empty when they are not. */
  readonly why: string;
}

export const BUILDS: readonly Build[] = [
  buildIn("BearSSL", "S6_NETWORKING_BIN"),
  buildIn("libtls", "S6_NETWORKING_LIBTLS_BIN"),
];

function buildIn(name: Build["name"], variable: string): Build {
  const directory = process.env[variable] ?? "";
  const isThere = existsSync(join(directory, "s6-tlsd")) && directory !== "";
  const why = isThere ? "" : ` (skipped: ${variable} does not name a directory with s6-tlsd)`;
  return { name, directory, why };
}
