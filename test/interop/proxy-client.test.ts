/** proxy-client in front of those who expect a header: HAProxy, nginx, and the C suite's proxy-server. */

import { describe, expect, test } from "vitest";
import { newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { announced, startServer } from "../ucspi/servers.ts";
import { haproxy, nginx, startHaproxy, startNginx } from "./proxies.ts";
import { startOf, withoutSuite } from "./support.ts";

const NAME = "proxy-client";

/** The two forms, and everything that the binary one can carry. */
const FORMS = [
  { form: "v1", options: ["-1"] },
  { form: "v2", options: ["-2"] },
  {
    form: "v2 with TLVs",
    options: ["--checksum", "--tlv=1=h2", "--tlv=5=request 1", "--tlv=0xea=\x01vpce-1"],
  },
];

/** A relay of ours to a server that expects a header. */
async function startRelay(
  scene: Scene,
  backend: number,
  options: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const words = [
    ...[NAME, "--before-tcpclient", "s6-tcpclient", "-H", "127.0.0.1", String(backend)],
    ...[NAME, "--after-tcpclient", ...options, "s6-ioconnect"],
  ];
  return (await startServer(scene, "", words, { env })).port;
}

describe.skipIf(haproxy.isMissing)(`HAProxy with accept-proxy${haproxy.why}`, () => {
  /** Answers with what it knows of the client. */
  function section(port: number): string {
    const facts = '"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]\\n"';
    const answer = `http-request return status 200 content-type text/plain lf-string ${facts}`;
    return `frontend back\n mode http\n bind 127.0.0.1:${port} accept-proxy\n ${answer}`;
  }

  const REQUEST = "GET / HTTP/1.0\r\n\r\n";

  test.each(FORMS)("a peer learns the client of a relay ($form)", async ({ options }) => {
    await using scene = await newScene();
    const backend = await scene.freePort();
    await startHaproxy(scene, backend, section(backend));
    const relay = await startRelay(scene, backend, options);
    await using client = await dial(relay, { from: "127.0.0.9" });
    const { port } = client; // which it forgets when it is closed
    client.end(REQUEST);
    const answer = await client.rest();
    expect(answer.split("\r\n\r\n")[1]).toBe(`127.0.0.9 ${port} 127.0.0.1 ${relay} \n`);
  });

  test("HAProxy learns the name that the client asked for", async () => {
    await using scene = await newScene();
    const backend = await scene.freePort();
    await startHaproxy(scene, backend, section(backend));
    const env = { SSL_PROTOCOL: "TLSv1.3", SSL_TLS_SNI_SERVERNAME: "www.example.com" };
    const relay = await startRelay(scene, backend, [], env);
    expect(await ask(relay, REQUEST)).toMatch(/ www\.example\.com\n$/);
  });

  test("HAProxy takes a local connection as such, and refuses one without a header", async () => {
    await using scene = await newScene();
    const backend = await scene.freePort();
    await startHaproxy(scene, backend, section(backend));
    const words = ["-H", "-i", "127.0.0.7", "127.0.0.1", String(backend)];
    const local = await scene.run("s6-tcpclient", [...words, NAME, "--local", "s6-ioconnect"], {
      input: REQUEST,
    });
    local.exits(0).stdoutMatches(/\r\n\r\n127\.0\.0\.7 \d+ /);
    const bare = await scene.run("s6-tcpclient", [...words, "s6-ioconnect"], { input: REQUEST });
    expect(bare.stdout).toBe("");
  });
});

describe.skipIf(nginx.isMissing)(`nginx with proxy_protocol${nginx.why}`, () => {
  test.each(FORMS)("a peer learns the client of a relay ($form)", async ({ options }) => {
    await using scene = await newScene();
    const backend = await scene.freePort();
    const facts = ["addr", "port", "server_addr", "server_port"]
      .map((name) => `$proxy_protocol_${name}`)
      .join(" ");
    const server = `server { listen 127.0.0.1:${backend} proxy_protocol; return "${facts}\\n"; }`;
    await startNginx(scene, backend, server);
    const relay = await startRelay(scene, backend, options);
    await using client = await dial(relay, { from: "127.0.0.9" });
    expect(await client.line()).toBe(`127.0.0.9 ${client.port} 127.0.0.1 ${relay}`);
  });
});

describe.skipIf(withoutSuite !== "")(`proxy-server of the C suite${withoutSuite}`, () => {
  test.each(FORMS)("a peer learns the client of a relay ($form)", async ({ options }) => {
    await using scene = await newScene();
    const facts = ["sh", "-c", "echo $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT; cat"];
    const words = ["-1", "-q", "127.0.0.1", "0", "proxy-server", ...facts];
    const { port: backend } = await announced(startOf("C", scene, "s6-tcpserver", words));
    const relay = await startRelay(scene, backend, options);
    await using client = await dial(relay, { from: "127.0.0.9" });
    const { port } = client;
    client.end("HELO\n");
    expect(await client.rest()).toBe(`127.0.0.9 ${port} 127.0.0.1 ${relay}\nHELO\n`);
  });
});
