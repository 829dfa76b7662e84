/** Servers whose engine is a script of the test: an installation of its own that shares all else with ours. */

import { copyFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "../support/certificates.ts";
import { BIN, newScene, ROOT } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { announced } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

/** The engine as it is shipped, with the words of the script. */
export const REAL_ENGINE = `exec ${BIN}/ucspi-tls-engine "$@"`;

/** A scene whose installation has this shell script for an engine. Its descriptor 0 is the server's socket. */
export async function newEngineScene(script: string): Promise<Scene> {
  const files = {
    "package/package.json": "{}",
    "package/bin/ucspi-tls-engine": `#!/bin/sh\n${script}\n`,
  };
  const scene = await newScene({ files });
  for (const name of ["s6-tcpserver-socketbinder", "s6-tcpserverd", "s6-tcpserver", "s6-tlsd"]) {
    copyFileSync(join(BIN, name), scene.path(`package/bin/${name}`));
  }
  for (const folder of ["dist", "prebuilds"]) {
    symlinkSync(join(ROOT, folder), scene.path(`package/${folder}`));
  }
  return scene;
}

/** Start the server of that installation, with s6-tlsd and these words in front of an echo. */
export async function startOther(
  scene: Scene,
  options: readonly string[] = [],
): Promise<StartedServer> {
  const { serverEnvironment } = makeCertificates(scene.directory);
  const PATH = `${scene.path("package/bin")}:${process.env["PATH"] ?? ""}`;
  const words = ["-v", "-1", "127.0.0.1", "0", "s6-tlsd", ...options, "--", "cat"];
  const env = { ...serverEnvironment, PATH };
  return announced(scene.execute(scene.path("package/bin/s6-tcpserver"), words, { env }));
}
