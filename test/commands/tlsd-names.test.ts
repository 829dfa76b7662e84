/** s6-tlsd: certificates by the name that a client asks for (networking.md, sections 14.1 and 24). */

import { expect } from "vitest";
import { newAuthority } from "../support/certificates.ts";
import { bothWays } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { dialTls, refusal } from "../support/tls-dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** A pair for each of three names of variables; the CN of each certificate tells which it is. */
function environmentOf(scene: Scene): Record<string, string> {
  const root = newAuthority();
  const variables: Record<string, string> = {};
  for (const [suffix, subject] of [
    ["", "default"],
    [":foo.example.com", "foo"],
    [":*.example.com", "wildcard"],
  ] as const) {
    const { keyFile, certFile } = root.issue({ subject }).write(scene.path(subject));
    variables[`KEYFILE${suffix}`] = keyFile;
    variables[`CERTFILE${suffix}`] = certFile;
  }
  return variables;
}

/** The CN of the certificate that a client is shown. */
async function shown(port: number, servername: string): Promise<unknown> {
  await using client = await dialTls(port, { servername });
  return client.socket.getPeerCertificate().subject.CN;
}

const CASES = [
  ["foo.example.com", "foo", "foo"],
  ["FOO.Example.COM", "foo", "foo"],
  ["bar.example.com", "wildcard", "wildcard"],
  ["a.b.example.com", "default", undefined],
  ["foo.example.com.", "foo", "foo"],
  ["bar.example.com.", "wildcard", "wildcard"],
  ["example.com", "default", undefined],
  ["", "default", undefined],
] as const;

/** With an exec for every link each client costs two processes, so a few have to do. */
const CASES_BY_WAY = { fused: CASES, exec: CASES.slice(1, 4) };

bothWays(
  "s6-tlsd -k 1 chooses the certificate by name, and has a default",
  async (newScene, way) => {
    await using scene = await newScene();
    const env = environmentOf(scene);
    const { port } = await startServer(scene, "", ["s6-tlsd", "--sni", "cat"], { env });
    for (const [name, expected] of CASES_BY_WAY[way])
      expect(await shown(port, name), name).toBe(expected);
  },
);

bothWays("s6-tlsd -k 2 refuses all other names, and clients without one", async (newScene, way) => {
  await using scene = await newScene();
  const { KEYFILE: _key, CERTFILE: _certificate, ...env } = environmentOf(scene);
  const program = ["s6-tlsd", "--mandatory-sni", "cat"];
  const { port, process } = await startServer(scene, "-v", program, { env });
  for (const [name, , expected] of CASES_BY_WAY[way]) {
    if (expected !== undefined) expect(await shown(port, name), name).toBe(expected);
    else {
      expect(await refusal(port, { servername: name }), name).toMatch(/alert/);
      await process.line(/^s6-tlsd-io: fatal: .* during the handshake: /);
      await process.line(/ end pid \d+ exitcode 98 /);
    }
  }
});

bothWays("s6-tlsd without -k serves one certificate", async (newScene) => {
  await using scene = await newScene();
  const env = environmentOf(scene);
  const program = ["s6-tlsd", "--mandatory-sni", "-k", "0", "cat"];
  const { port } = await startServer(scene, "", program, { env });
  expect(await shown(port, "foo.example.com")).toBe("default");
});
