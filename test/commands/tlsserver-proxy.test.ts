/** s6-tlsserver behind proxies that it trusts: rules and limits are about the clients they announce. */

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { announced } from "../ucspi/servers.ts";

const TELL = ["sh", "-c", "echo $TCPREMOTEIP $TCPREMOTEPORT; exec cat"];

function startServer(scene: Scene, options: string) {
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const words = ["-1", "-H", ...options.split(" "), "127.0.0.1", "0", ...TELL];
  return announced(scene.start("s6-tlsserver", words, { env }));
}

/** TLS, behind the header of a client at the address `announced`, if any. */
function secure(port: number, announced: string | undefined, from = "127.0.0.1") {
  const tcp = connectTcp({ port, host: "127.0.0.1", localAddress: from });
  if (announced !== undefined) tcp.write(`PROXY TCP4 ${announced} 192.0.2.1 7 443\r\n`);
  const socket = connect({ socket: tcp, rejectUnauthorized: false });
  for (const either of [tcp, socket]) either.on("error", () => tcp.destroy());
  return { tcp, socket };
}

/** All that the server says to a client who says nothing. */
async function ask(port: number, client: string, from?: string): Promise<string> {
  const { tcp, socket } = secure(port, client, from);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.once("secureConnect", () => setImmediate(() => socket.end()));
  await new Promise((resolve) => tcp.once("close", resolve));
  return Buffer.concat(chunks).toString();
}

describe("with --trust", () => {
  bothWays("s6-tlsserver --trust applies rules to the announced client", async (newScene) => {
    await using scene = await newScene();
    scene.write("rules/ip4/198.51.100.7_32/allow", "");
    const { port } = await startServer(scene, "--trust=127.0.0.1 -i rules");
    expect(await ask(port, "198.51.100.7")).toBe("198.51.100.7 7\n");
    expect(await ask(port, "198.51.100.8")).toBe("");
    expect(await ask(port, "198.51.100.7", "127.0.0.2")).toBe("");
  });

  test("s6-tlsserver --trust applies -C to the announced client", async () => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "--trust=127.0.0.1 -C 1");
    const { socket } = secure(port, "198.51.100.7");
    const [line] = await once(socket, "data");
    expect(String(line)).toBe("198.51.100.7 7\n");
    expect(await ask(port, "198.51.100.7")).toBe("");
    expect(await ask(port, "198.51.100.8")).toBe("198.51.100.8 7\n");
    socket.destroy();
  });

  test("s6-tlsserver --trust --untrusted serves other peers as clients of their own", async () => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "--trust=127.0.0.1 --untrusted=pass");
    const { socket } = secure(port, undefined, "127.0.0.2");
    const [line] = await once(socket, "data");
    expect(String(line)).toMatch(/^127\.0\.0\.2 /);
    socket.destroy();
  });
});

test("s6-tlsserver refuses --untrusted without --trust", async () => {
  await using scene = await newScene();
  const words = ["-H", "--untrusted=pass", "127.0.0.1", "0", "cat"];
  (await scene.run("s6-tlsserver", words)).exits(100).stderrMatches(/untrusted needs trust/);
});
