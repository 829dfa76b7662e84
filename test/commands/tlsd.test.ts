/** The commands of TLS as shipped, with node:tls and each other as peers. */

import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import { startServer } from "../ucspi/servers.ts";

const ECHO = ["s6-tlsd", "sh", "-c", "echo $SSL_PROTOCOL ${KEYFILE-unset}; exec cat"];

describe("s6-tlsd", () => {
  bothWays("puts a program behind TLS", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment, caFile, root } = makeCertificates(scene.directory);
    const { port } = await startServer(scene, "", ECHO, { env: serverEnvironment });
    expect(caFile).not.toBe("");
    const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: root.pem });
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.end("hello\n");
    await new Promise((resolve) => socket.once("close", resolve));
    expect(Buffer.concat(chunks).toString()).toBe("TLSv1.3 unset\nhello\n");
  });
});

describe("s6-tlsc", () => {
  bothWays("puts a program before TLS", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment, caFile } = makeCertificates(scene.directory);
    const { port } = await startServer(scene, "", ECHO, { env: serverEnvironment });
    const program = ["sh", "-c", "echo $SSL_PEER_CERT_SUBJECT; read line <&6; echo $line"];
    const words = ["127.0.0.1", String(port), "s6-tlsc", "-k", "localhost", ...program];
    const run = await scene.run("s6-tcpclient", words, { env: { CAFILE: caFile } });
    run.exits(0).stdoutIs("CN=localhost\nTLSv1.3 unset\n");
  });
});

test("s6-ucspitlsd and s6-ucspitlsc are given three descriptors to use when they like", async () => {
  await using scene = await newScene();
  const { serverEnvironment } = makeCertificates(scene.directory);
  const program = ["sh", "-c", "echo $SSLCTLFD $SSLREADFD $SSLWRITEFD"];
  const run = await scene.run("s6-ucspitlsd", program, { env: serverEnvironment });
  run.exits(0).stdoutIs("3 4 5\n");
});

test("s6-tlsd-io and s6-tlsc-io want two descriptors", async () => {
  await using scene = await newScene();
  const run = await scene.run("s6-tlsd-io", ["3"]);
  run.exits(100).stderrMatches(/missing operand: fdw/);
  (await scene.run("s6-tlsc-io", ["a", "b"])).exits(100).stderrMatches(/fdr must be/);
});

test("ucspi-tls-engine is for servers to start", async () => {
  await using scene = await newScene();
  const run = await scene.run("ucspi-tls-engine", []);
  run.exits(100).stderrMatches(/started by servers/);
});
