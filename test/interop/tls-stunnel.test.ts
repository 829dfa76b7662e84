/** stunnel, as a client of our server and as a server for our client. */

import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { isAlive, peer } from "../support/scene.ts";
import type { Run, RunOptions, SceneProcess } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { COUNTER, newTlsScene, startTlsServer, teller } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const stunnel = peer("stunnel4");

const VERSIONS = ["TLSv1.2", "TLSv1.3"];
const MUCH = "x".repeat(1_000_000);

/** Start stunnel with a configuration: inetd mode if there is no service in it, else a daemon. */
function start(
  { scene }: TlsScene,
  settings: readonly string[],
  input: string | undefined,
): SceneProcess {
  const always = ["foreground = yes", "pid =", "debug = info"];
  scene.write("stunnel.conf", [...always, ...settings, ""].join("\n"));
  const options = input === undefined ? {} : { input };
  return scene.execute(stunnel.path, [scene.path("stunnel.conf")], options);
}

describe.skipIf(stunnel.isMissing)(`stunnel as a client of s6-tlsserver${stunnel.why}`, () => {
  function settings({ pki }: TlsScene, port: number): string[] {
    const verified = [`CAfile = ${pki.caFile}`, "verifyChain = yes", "checkHost = localhost"];
    return ["client = yes", ...verified, "sni = localhost", `connect = 127.0.0.1:${port}`];
  }

  /** One connection, between our program and standard input and output. */
  function client(
    ground: TlsScene,
    port: number,
    more: readonly string[],
    input = "",
  ): Promise<Run> {
    return start(ground, [...settings(ground, port), ...more], input).finished();
  }

  test.each(VERSIONS)(
    "stunnel as a client speaks %s, ends its side, and is answered then",
    async (version) => {
      await using ground = await newTlsScene();
      const { port } = await startTlsServer(ground, "", COUNTER);
      const run = await client(ground, port, [`sslVersion = ${version}`], MUCH);
      run.exits(EXIT.ok).stdoutIs("read 1000000 bytes\n");
      run.stderrMatches(new RegExp(`: ${version} ciphersuite: `));
    },
  );

  // With -S: at the end of a connection alone, stunnel may drop what it has not read yet.
  test.each(VERSIONS)(
    "stunnel as a client reads all of %s when the program exits at once",
    async (version) => {
      await using ground = await newTlsScene();
      const program = ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"];
      const { port } = await startTlsServer(ground, "-S", program);
      (await client(ground, port, [`sslVersion = ${version}`])).exits(EXIT.ok).stdoutIs(MUCH);
    },
  );

  test("stunnel as a client shows a certificate, and is refused without", async () => {
    await using ground = await newTlsScene();
    const { certFile, keyFile } = ground.clientFiles;
    const program = teller("SSL_PEER_CERT_SUBJECT", "SSL_TLS_SNI_SERVERNAME");
    const { port } = await startTlsServer(ground, "-y", program);
    const run = await client(ground, port, [`cert = ${certFile}`, `key = ${keyFile}`]);
    run.stdoutIs("SSL_PEER_CERT_SUBJECT=CN=client\nSSL_TLS_SNI_SERVERNAME=localhost\n");
    const refused = await client(ground, port, []);
    refused.stdoutIs("").stderrMatches(/alert certificate required/);
  });

  test.each(VERSIONS)("stunnel as a client resumes sessions of %s", async (version) => {
    await using ground = await newTlsScene();
    const { port } = await startTlsServer(ground, "", teller("SSL_PROTOCOL"));
    const service = ["[out]", "accept = 127.0.0.1:0", `sslVersion = ${version}`];
    const daemon = start(ground, [...service, ...settings(ground, port)], undefined);
    const near = await boundPort(daemon);
    for (let count = 0; count < 3; count += 1) {
      expect(await ask(near)).toBe(`SSL_PROTOCOL=${version}\n`);
    }
    await daemon.line(/TLS connected: previous session reused/);
    expect(isAlive(daemon.pid)).toBe(true);
  });
});

async function boundPort(daemon: SceneProcess): Promise<number> {
  const [, port = ""] = await daemon.line(/ bound to 127\.0\.0\.1:(\d+)$/);
  return Number(port);
}

describe.skipIf(stunnel.isMissing)(`stunnel as a server for s6-tlsclient${stunnel.why}`, () => {
  async function serve(ground: TlsScene, script: string, more: readonly string[] = []) {
    const { CERTFILE, KEYFILE } = ground.pki.serverEnvironment;
    const pair = [`cert = ${CERTFILE}`, `key = ${KEYFILE}`];
    ground.scene.write("program", `#!/bin/sh\n${script}\n`);
    const program = [`exec = ${ground.scene.path("program")}`];
    const service = ["[in]", "accept = 127.0.0.1:0", ...pair, ...program, ...more];
    const daemon = start(ground, service, undefined);
    return { daemon, port: await boundPort(daemon) };
  }

  function client(
    { scene, pki }: TlsScene,
    port: number,
    options: string,
    program: readonly string[],
    { env, ...run }: RunOptions = {},
  ): Promise<Run> {
    const given = options.split(" ").filter((word) => word !== "");
    const words = ["-H", ...given, "127.0.0.1", String(port), ...program];
    return scene.run("s6-tlsclient", words, { ...run, env: { CAFILE: pki.caFile, ...env } });
  }

  test.each(VERSIONS)("stunnel as a server is connected to over %s", async (version) => {
    await using ground = await newTlsScene();
    const { port } = await serve(ground, "cat", [`sslVersion = ${version}`]);
    const program = ["sh", "-c", "echo $SSL_PROTOCOL; echo hello >&7; head -n 1 <&6"];
    (await client(ground, port, "", program)).exits(EXIT.ok).stdoutIs(`${version}\nhello\n`);
  });

  // OpenSSL has no half-close for us: it fails at an end without close_notify, and -S listens no longer.
  test.each(VERSIONS)(
    "stunnel as a server has read all of %s when s6-tlsclient has ended its side",
    async (version) => {
      await using ground = await newTlsScene();
      const script = `wc -c >>${ground.scene.path("counts")}`;
      const { port, daemon } = await serve(ground, script, [`sslVersion = ${version}`]);
      for (const options of ["", "-S", "-SJ"]) {
        (await client(ground, port, options, ["s6-ioconnect"], { input: MUCH })).exits(EXIT.ok);
        await daemon.line(/Child process \d+ finished with code 0/);
      }
      expect(ground.scene.read("counts")).toBe("1000000\n".repeat(3));
    },
  );

  test("stunnel as a server requests a certificate, and is shown one", async () => {
    await using ground = await newTlsScene();
    const trusted = [`CAfile = ${ground.pki.caFile}`, "verifyChain = yes"];
    const { port } = await serve(ground, "echo for $SSL_CLIENT_DN", trusted);
    const env = ground.pki.clientEnvironment;
    const program = ["sh", "-c", "cat <&6"];
    const run = await client(ground, port, "-y", program, { env });
    run.exits(EXIT.ok).stdoutIs("for CN=client\n");
  });

  test("stunnel as a server is refused when its certificate is for another name", async () => {
    await using ground = await newTlsScene();
    const { port } = await serve(ground, "cat");
    const run = await client(ground, port, "-k example.com", ["touch", "ran"]);
    run.exits(98).stderrMatches(/^s6-tlsc-io: fatal: /);
    expect(ground.scene.has("ran")).toBe(false);
  });
});
