/** s6-tlsd and s6-ucspitlsd as shipped: clients of TLS 1.3 that have to send their ClientHello twice. */

import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askTwice } from "../tls/handshake/retried-client.ts";
import { startServer } from "../ucspi/servers.ts";

const CHANGED = /^s6-tlsd-io: fatal: .*: the client has changed the name that it asks for$/;

/** Asks for TLS at once. */
const STARTTLS = `
  printf y >&$SSLCTLFD
  read -r line <&$SSLREADFD && echo "$line" >&$SSLWRITEFD`;

async function refusesAnotherName(scene: Scene, program: readonly string[]): Promise<void> {
  const { serverEnvironment: env, client: certificate } = makeCertificates(scene.directory);
  const { port, process } = await startServer(scene, "", program, { env });
  const [name, other] = ["a.example.com", "b.example.com"];
  expect(await askTwice({ port, certificate, names: [name, "A.Example.com"] })).toBe("hello\n");
  for (const second of [other, ""]) {
    expect(await askTwice({ port, certificate, names: [name, second] })).toBe("");
    await process.line(CHANGED);
  }
}

describe.concurrent("a second ClientHello", () => {
  test.each(["", "-Y"])(
    "s6-tlsd %s refuses a client whose second ClientHello asks for another name, or none",
    async (word) => {
      await using scene = await newScene();
      const words = word === "" ? [] : [word];
      await refusesAnotherName(scene, ["s6-tlsd", ...words, "head", "-n", "1"]);
    },
  );

  for (const [command, program] of [
    ["s6-tlsd", ["head", "-n", "1"]],
    ["s6-ucspitlsd", ["sh", "-c", STARTTLS]],
  ] as const) {
    bothWays(
      `${command} -y refuses a client whose second ClientHello asks for another name, or none`,
      async (makeScene) => {
        await using scene = await makeScene();
        await refusesAnotherName(scene, [command, "-y", ...program]);
      },
    );
  }
});
