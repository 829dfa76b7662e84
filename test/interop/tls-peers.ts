/**
 * The common parts of the tests of TLS with other people's programs: our server, and the material for
 * both sides.
 */

import { makeCertificates } from "../support/certificates.ts";
import type { CertificateFiles, TestCertificates } from "../support/certificates.ts";
import { newScene } from "../support/scene.ts";
import type { RunOptions, Scene, SceneOptions } from "../support/scene.ts";
import { announced } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

/** A scene with certificates in it. */
export interface TlsScene extends AsyncDisposable {
  readonly scene: Scene;
  readonly pki: TestCertificates;
  /** The certificate that the client shows. */
  readonly clientFiles: CertificateFiles;
}

export async function newTlsScene(files: SceneOptions["files"] = {}): Promise<TlsScene> {
  const scene = await newScene({ files });
  const pki = makeCertificates(scene.directory);
  const { CERTFILE: certFile, KEYFILE: keyFile } = pki.clientEnvironment;
  const clientFiles = { certFile, keyFile };
  return { scene, pki, clientFiles, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

/** `s6-tlsserver -1 -H OPTION... 127.0.0.1 0 PROGRAM...`, with the usual certificates. */
export async function startTlsServer(
  { scene, pki }: TlsScene,
  options: string,
  program: readonly string[],
  { env, ...run }: RunOptions = {},
): Promise<StartedServer> {
  const given = options.split(" ").filter((word) => word !== "");
  const words = ["-1", "-H", ...given, "127.0.0.1", "0", ...program];
  const variables = { ...pki.serverEnvironment, ...env };
  return await announced(scene.start("s6-tlsserver", words, { ...run, env: variables }));
}

/** As a program: tells some of its variables, one a line, and leaves. */
export function teller(...names: readonly string[]): string[] {
  const lines = names.map((name) => `echo ${name}=\${${name}-unset};`);
  return ["sh", "-c", lines.join(" ")];
}

/** As a program: reads all there is, then says how much it was. */
export const COUNTER = ["sh", "-c", "count=$(wc -c); echo read $count bytes"];
