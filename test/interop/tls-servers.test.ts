/** Our s6-tlsd under other people's super-servers, and our s6-tlsc under another's client. */

import { join } from "node:path";
import { test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { BIN, peer } from "../support/scene.ts";
import type { SceneProcess } from "../support/scene.ts";
import { announced } from "../ucspi/servers.ts";
import { original, withoutSuite } from "./support.ts";
import { COUNTER, newTlsScene, startTlsServer } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const tcpserver = peer("tcpserver");
const tcpclient = peer("tcpclient");
const socat = peer("socat");

const PROGRAM = '#!/bin/sh\necho "$SSL_PROTOCOL for $PEER"\nwc -c\n';

/** The usual script behind our s6-tlsd; `variable` has the address of the client. */
function daemonOf(variable: string): string[] {
  return [join(BIN, "s6-tlsd"), "sh", "-c", `PEER=$${variable} exec ./program`];
}

/** Three clients at a time, each of which sends something, ends its side, and is answered. */
async function expectServed({ scene, pki }: TlsScene, port: number): Promise<void> {
  const words = ["-H", "127.0.0.1", String(port), "s6-ioconnect"];
  const sent = "x".repeat(300_000);
  const clients = [1, 2, 3].map(() =>
    scene.run("s6-tlsclient", words, { env: { CAFILE: pki.caFile }, input: sent }),
  );
  for (const run of await Promise.all(clients)) {
    run.exits(EXIT.ok).stdoutIs("TLSv1.3 for 127.0.0.1\n300000\n");
  }
}

function start(ground: TlsScene, file: string, words: readonly string[]): SceneProcess {
  return ground.scene.execute(file, words, { env: ground.pki.serverEnvironment });
}

test.skipIf(tcpserver.isMissing)(`s6-tlsd works under tcpserver${tcpserver.why}`, async () => {
  await using ground = await newTlsScene({ program: PROGRAM });
  const options = ["-q", "-1", "-H", "-R", "-l", "localhost"];
  const words = [...options, "127.0.0.1", "0", ...daemonOf("TCPREMOTEIP")];
  const { port } = await announced(start(ground, tcpserver.path, words));
  await expectServed(ground, port);
});

test.skipIf(withoutSuite !== "")(
  `s6-tlsd works under the s6-tcpserver of the C suite${withoutSuite}`,
  async () => {
    await using ground = await newTlsScene({ program: PROGRAM });
    const words = ["-1", "127.0.0.1", "0", ...daemonOf("TCPREMOTEIP")];
    const { port } = await announced(start(ground, original("s6-tcpserver").path, words));
    await expectServed(ground, port);
  },
);

// Without nofork, socat may forget what the tunnel says after the program has left.
test.skipIf(socat.isMissing)(`s6-tlsd works under socat${socat.why}`, async () => {
  await using ground = await newTlsScene({
    program: PROGRAM,
    daemon: `#!/bin/sh\nexec ${daemonOf("SOCAT_PEERADDR").map(quote).join(" ")}\n`,
  });
  const words = ["-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1,fork", "EXEC:./daemon,nofork"];
  const process = start(ground, socat.path, words);
  const [, port = ""] = await process.line(/listening on AF=2 127\.0\.0\.1:(\d+)$/);
  await expectServed(ground, Number(port));
});

function quote(word: string): string {
  return `'${word}'`;
}

test.skipIf(tcpclient.isMissing)(`s6-tlsc works under tcpclient${tcpclient.why}`, async () => {
  await using ground = await newTlsScene();
  const { port } = await startTlsServer(ground, "", COUNTER);
  const program = [join(BIN, "s6-tlsc"), "-k", "localhost", "s6-ioconnect"];
  const words = ["-H", "-R", "127.0.0.1", String(port), ...program];
  const options = { env: { CAFILE: ground.pki.caFile }, input: "x".repeat(300_000) };
  const run = await ground.scene.execute(tcpclient.path, words, options).finished();
  run.exits(EXIT.ok).stdoutIs("read 300000 bytes\n");
});
