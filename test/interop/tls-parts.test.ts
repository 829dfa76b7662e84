/** The parts of a tunnel from two suites: the command of one with the engine of the other, and UCSPI-TLS. */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { BIN } from "../support/scene.ts";
import { startServer } from "../ucspi/servers.ts";
import { BUILDS } from "./support.ts";
import { newTlsScene } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const CASES = BUILDS.map((build) => ({ build, title: `${build.name}${build.why}` }));

/** A directory with an engine that notes that it ran, and a PATH with the directory in front. */
function engineOf({ scene }: TlsScene, directory: string, engine: string): string {
  const file = join(directory, engine);
  scene.write(`engines/${engine}`, `#!/bin/sh\necho ${engine} >>engines/used\nexec ${file} "$@"\n`);
  return `${scene.path("engines")}:${BIN}:${process.env["PATH"] ?? ""}`;
}

describe.each(CASES)("engines of ours and of the C suite on $title", ({ build }) => {
  const pairs = [
    { whose: "ours run by theirs", commands: build.directory, engines: BIN },
    { whose: "theirs run by ours", commands: BIN, engines: build.directory },
  ];

  describe.skipIf(build.why !== "").each(pairs)("$whose", ({ commands, engines }) => {
    test("s6-tlsd-io of either suite works with the other suite's peer", async () => {
      await using ground = await newTlsScene();
      const { scene, pki } = ground;
      const PATH = engineOf(ground, engines, "s6-tlsd-io");
      const script = "echo $SSL_PROTOCOL $SSL_PEER_CERT_HASH; exec cat";
      const program = [join(commands, "s6-tlsd"), "-y", "sh", "-c", script];
      const env = { ...pki.serverEnvironment, PATH, UCSPI_CHAIN: "exec" };
      const { port } = await startServer(scene, "", program, { env });
      const client = ["sh", "-c", "echo hello >&7; head -n 2 <&6"];
      const words = ["-H", "-y", "127.0.0.1", String(port), ...client];
      const run = await scene.run("s6-tlsclient", words, { env: pki.clientEnvironment });
      run.exits(EXIT.ok).stdoutMatches(/^TLSv1\.[23] SHA256:[0-9a-f]{64}\nhello\n$/);
      expect(run.stdout).toContain(pki.client.sha256);
      expect(scene.read("engines/used")).toBe("s6-tlsd-io\n");
    });

    test("s6-tlsc-io of either suite works with the other suite's peer", async () => {
      await using ground = await newTlsScene();
      const { scene, pki } = ground;
      const program = ["s6-tlsd", "-y", "sh", "-c", "echo $SSL_PEER_CERT_SUBJECT; exec cat"];
      const { port } = await startServer(scene, "", program, { env: pki.serverEnvironment });
      const PATH = engineOf(ground, engines, "s6-tlsc-io");
      const script = "echo $SSL_PEER_CERT_HASH; echo hello >&7; head -n 2 <&6";
      const tlsc = [join(commands, "s6-tlsc"), "-y", "-k", "localhost", "sh", "-c", script];
      const env = { ...pki.clientEnvironment, PATH, UCSPI_CHAIN: "exec" };
      const words = ["-H", "127.0.0.1", String(port), ...tlsc];
      const run = await scene.run("s6-tcpclient", words, { env });
      run.exits(EXIT.ok).stdoutIs(`SHA256:${pki.server.sha256}\nCN=client\nhello\n`);
      expect(scene.read("engines/used")).toBe("s6-tlsc-io\n");
    });
  });
});

/** Asks for TLS with the byte in `$1`, and waits until the control socket is closed. */
const START_TLS = `
eval "exec 8<&$SSLCTLFD 9>&$SSLCTLFD"
printf %s "$1" >&9
exec 9>&-
told=$(tr '\\0' '\\n' <&8)
told=\${told%%=*}
exec 8<&-
`;

/** A server that says a line in clear, is told to start TLS, and then echoes. */
const SERVER = `#!/bin/sh
echo in clear
IFS= read -r request
${START_TLS}
eval "exec <&$SSLREADFD >&$SSLWRITEFD"
echo "\${told:-silence}"
exec cat
`;

const CLIENT = `#!/bin/sh
IFS= read -r greeting <&6
echo "$greeting"
echo 'start TLS' >&7
${START_TLS}
eval "exec 6<&$SSLREADFD 7>&$SSLWRITEFD"
echo "\${told:-silence}"
echo hello >&7
head -n 2 <&6
`;

describe.each(CASES)("UCSPI-TLS with the C suite on $title", ({ build }) => {
  const cases = [
    { ours: "s6-ucspitlsd", server: BIN, client: build.directory },
    { ours: "s6-ucspitlsc", server: build.directory, client: BIN },
  ].flatMap((ends) => [
    { ...ends, byte: "Y", told: "SSL_PROTOCOL" },
    { ...ends, byte: "y", told: "silence" },
  ]);

  test.skipIf(build.why !== "").each(cases)(
    "UCSPI-TLS of the C suite works with our $ours, which receives $byte",
    async ({ server, client, byte, told }) => {
      await using ground = await newTlsScene({ server: SERVER, client: CLIENT });
      const { scene, pki } = ground;
      const daemon = [join(server, "s6-ucspitlsd"), "./server", byte];
      const PATH = `${server}:${BIN}:${process.env["PATH"] ?? ""}`;
      const env = { ...pki.serverEnvironment, PATH };
      const { port } = await startServer(scene, "", daemon, { env });
      const asker = [join(client, "s6-ucspitlsc"), "-k", "localhost", "./client", byte];
      const run = await scene.run("s6-tcpclient", ["-H", "127.0.0.1", String(port), ...asker], {
        env: {
          ...pki.clientEnvironment,
          PATH: `${client}:${BIN}:${process.env["PATH"] ?? ""}`,
        },
      });
      run.exits(EXIT.ok).stdoutIs(`in clear\n${told}\n${told}\nhello\n`);
    },
  );
});
