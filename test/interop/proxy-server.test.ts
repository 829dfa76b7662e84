/**
 * proxy-server against its original, header by header, and behind proxies that everybody has: HAProxy,
 * nginx, stunnel and curl, with access control of either suite between it and the program.
 */

import { once } from "node:events";
import { connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatProxy } from "../../src/proxy/index.ts";
import type { ProxyVersion } from "../../src/proxy/index.ts";
import { ADDRESSES4, header, ssl, tlv, v2, withTlvs } from "../proxy/samples.ts";
import { newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";
import {
  haproxy,
  makeCertificates,
  nginx,
  openssl,
  startHaproxy,
  startNginx,
  startStunnel,
  stunnel,
} from "./proxies.ts";
import { original, startOf, withoutSuite } from "./support.ts";
import type { Suite } from "./support.ts";

const NAME = "proxy-server";

/** The whole environment but for what is ours alone, and what is left of the input. */
const SHOW = ["sh", "-c", "env -0 | grep -zv _ALPN_ | sort -z; echo --; cat"];

/** A file rather than a pipe: the original needs its reads to be complete. */
async function receive(
  suite: Suite,
  scene: Scene,
  options: readonly string[],
  input: Uint8Array,
): Promise<Run> {
  scene.write("input", Buffer.concat([input, Buffer.from("what follows")]));
  const command = suite === "ours" ? NAME : original(NAME).path;
  const script = 'exec "$0" "$@" <input';
  return await scene.shell(
    `exec ${["sh", "-c", script, command, ...options, ...SHOW].map(quoted).join(" ")}`,
  );
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The output without the variables that ours does not set, and says so: the original sets them or a part of them. */
function withoutUnfit(output: Buffer, { stderr }: Run): Buffer {
  const unfit = Array.from(
    stderr.matchAll(/unfit value for (\w+): not set$/gm),
    ([, name]) => name,
  );
  const isFit = (entry: string): boolean => !unfit.includes(/^(\w+)=/.exec(entry)?.[1]);
  return Buffer.from(output.toString("latin1").split("\0").filter(isFit).join("\0"), "latin1");
}

/** Exit code and output of both are the same. */
async function expectSame(options: readonly string[], input: Uint8Array): Promise<void> {
  await using scene = await newScene();
  const theirs = await receive("C", scene, options, input);
  const ours = await receive("ours", scene, options, input);
  ours.exits(theirs.exitCode ?? -1).stdoutIs(withoutUnfit(theirs.stdoutBytes, ours));
}

describe.skipIf(withoutSuite !== "")(`proxy-server of the C suite${withoutSuite}`, () => {
  const vectors: readonly (readonly [string, string | Uint8Array])[] = [
    ["TCP4", "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n"],
    ["TCP6", "PROXY TCP6 2001:DB8::1 ::ffff:1.2.3.4 1 65535\r\n"],
    ["leading zeros", "PROXY TCP4 01.2.3.4 5.6.7.8 00111 1\r\n"],
    ["UNKNOWN", "PROXY UNKNOWN\r\n"],
    ["UNKNOWN and more", "PROXY UNKNOWN a\rb c\r\n"],
    ["HTTP", "GET / HTTP/1.0\r\n\r\n"],
    ["LF alone", "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\n"],
    ["another protocol", "PROXY UDP4 192.0.2.7 192.0.2.1 49152 80\r\n"],
    ["a port too high", "PROXY TCP4 192.0.2.7 192.0.2.1 49152 65536\r\n"],
    ["a blank too many", "PROXY TCP4 192.0.2.7  192.0.2.1 49152 80\r\n"],
    ["a line too long", `PROXY UNKNOWN ${"x".repeat(92)}\r\n`],
    ["a line just long enough", `PROXY UNKNOWN ${"x".repeat(91)}\r\n`],
    ["v2 without TLVs", v2(0x21, 0x11, ADDRESSES4)],
    ["v2 UDP", v2(0x21, 0x12, ADDRESSES4)],
    ["v2 without family", v2(0x21, 0x00, ADDRESSES4)],
    ["v2 local", v2(0x20, 0x00, ADDRESSES4)],
    ["v2 Unix", v2(0x21, 0x31, Buffer.alloc(216, "/path\0"))],
    ["v2 of version 3", v2(0x31, 0x11, ADDRESSES4)],
    ["v2 too short", v2(0x21, 0x21, ADDRESSES4)],
    ["0x21 at the top", withTlvs(tlv(0x21, "x"))],
    ["a name inside SSL", withTlvs(ssl(1, 0, tlv(2, "x")))],
    ["SSL without TLS", withTlvs(ssl(0, 0, tlv(0x21, "x")))],
    ["SSL and a name", withTlvs(tlv(2, "a\0b"), ssl(7, 1, tlv(0x21, "1.3"), tlv(0x22, "joe")))],
  ];

  test.each(vectors)("proxy-server of either suite does the same with %s", async (_, bytes) => {
    const input = Buffer.from(bytes as string, "latin1");
    await expectSame([], input);
  });

  const version = fc.constantFrom<ProxyVersion>(1, 2);
  const options = fc.constantFrom<readonly string[]>([], [], ["--before-tlsd"], ["-1"], ["-2"]);

  test("proxy-server of either suite does the same with random headers", async () => {
    await fc.assert(
      fc.asyncProperty(header, version, options, async (of, as, words) => {
        await expectSame(words, formatProxy(of, { version: as }));
      }),
      { numRuns: 40 },
    );
  });

  test("proxy-server of either suite does the same with damaged headers", async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 2 });
    const damaged = fc.tuple(header, changes).map(([of, all]) => {
      const bytes = Buffer.from(formatProxy(of, { version: 2 }));
      for (const [at, byte] of all) bytes[at % bytes.length] = byte;
      return bytes;
    });
    await fc.assert(
      fc.asyncProperty(damaged, async (bytes) => {
        fc.pre(!differsOnPurpose(bytes));
        await expectSame([], bytes);
      }),
      { numRuns: 40 },
    );
  });

  test("proxy-server of either suite restores the same variables", async () => {
    const names = ["SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI_SERVERNAME", "SSL_PEER_CERT_CN"];
    const all = [...names, ...names.map((name) => `tlsbak_${name}`), "SSL_PEER_CERT_HASH"];
    const variables = fc.dictionary(fc.constantFrom(...all), fc.constantFrom("", "a", "b"));
    await fc.assert(
      fc.asyncProperty(variables, async (env) => {
        await using scene = await newScene();
        const words = ["--after-tlsd", ...SHOW];
        const theirs = await scene.execute(original(NAME).path, words, { env }).finished();
        const ours = await scene.run(NAME, words, { env });
        ours.exits(0).stdoutIs(theirs.exits(0).stdoutBytes);
      }),
      { numRuns: 20 },
    );
  });
});

/** The differences for a damaged v2 header by differs.md. */
function differsOnPurpose(bytes: Buffer): boolean {
  const isLocal = bytes[12] === 0x20 && bytes[13] !== 0;
  const isDatagram = ((bytes[13] ?? 0) & 0xf) === 2;
  const hasChecksum = bytes.includes(Buffer.of(3), 28);
  const sslVectors = bytes.filter((byte, at) => at >= 28 && byte === 0x20).length;
  // Short of 15 bytes there is no telling which of two faults is the first.
  return (
    isLocal ||
    isDatagram ||
    hasChecksum ||
    sslVectors > 1 ||
    bytes.subarray(0, 12).toString("latin1") !== "\r\n\r\n\0\r\nQUIT\n"
  );
}

const FACTS = ["sh", "-c", 'echo "$TCPREMOTEIP $TCPLOCALPORT"; cat'];
const FILES = { "rules/ip4/127.0.0.9_32/allow": "" };

/** The chain of either suite, behind a server of the same, that serves 127.0.0.9 alone. */
async function startBackend(suite: Suite, scene: Scene): Promise<number> {
  const access = ["s6-tcpserver-access", "-v0", "-H", "-i", "rules"];
  const words = ["-1", "-q", "127.0.0.1", "0", NAME, ...access, ...FACTS];
  const process = startOf(suite, scene, "s6-tcpserver", words);
  const [, port = ""] = await process.line(/^(\d+)$/);
  return Number(port);
}

/**
 * The answers to clients from two addresses through a proxy: one that rules admit, one they do not. They do
 * not end their side first, for which nginx would end the other.
 */
async function expectServed(port: number): Promise<void> {
  await using admitted = await dial(port, { from: "127.0.0.9" });
  admitted.write("HELO\n");
  expect([await admitted.line(), await admitted.line()]).toEqual([`127.0.0.9 ${port}`, "HELO"]);
  await using refused = await dial(port, { from: "127.0.0.8" });
  refused.write("HELO\n");
  expect(await refused.rest()).toBe("");
}

describe.skipIf(haproxy.isMissing)(`HAProxy${haproxy.why}`, () => {
  test.each(["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])(
    "HAProxy with %s announces its clients",
    async (option) => {
      await using scene = await newScene({ files: FILES });
      const backend = await startBackend("ours", scene);
      const port = await scene.freePort();
      const server = `server s 127.0.0.1:${backend} ${option}`;
      await startHaproxy(
        scene,
        port,
        `listen front\n bind 127.0.0.1:${port}\n unique-id-format %pid\n ${server}`,
      );
      await expectServed(port);
    },
  );

  test("HAProxy keeps checking the health of a server with local connections", async () => {
    await using scene = await newScene();
    const { port: backend } = await startServer(scene, "", [NAME, ...FACTS]);
    const port = await scene.freePort();
    const server = `server s 127.0.0.1:${backend} send-proxy-v2 check check-send-proxy inter 20ms`;
    await startHaproxy(scene, port, `listen front\n bind 127.0.0.1:${port}\n ${server}`);
    expect(await ask(port, "HELO\n", { from: "127.0.0.9" })).toBe(`127.0.0.9 ${port}\nHELO\n`);
  });

  test.skipIf(openssl.isMissing)(
    `HAProxy with send-proxy-v2-ssl-cn announces TLS${openssl.why}`,
    async () => {
      await using scene = await newScene();
      await makeCertificates(scene);
      const show = ["sh", "-c", "env | grep ^SSL_ | sort; cat"];
      const { port: backend } = await startServer(scene, "", [NAME, "--verified-names", ...show]);
      const port = await scene.freePort();
      const bind = `bind 127.0.0.1:${port} ssl crt server.pem ca-file ca.pem verify optional`;
      const options = "send-proxy-v2-ssl-cn proxy-v2-options authority,ssl-cipher";
      await startHaproxy(
        scene,
        port,
        `listen front\n ${bind}\n server s 127.0.0.1:${backend} ${options}`,
      );
      const certificate = { cert: scene.read("client.crt"), key: scene.read("client.key") };
      const answer = await askTls(scene, port, "HELO\n", certificate);
      expect(answer.replace(/^(SSL_CIPHER=TLS_).*/, "$1...")).toBe(
        "SSL_CIPHER=TLS_...\nSSL_PEER_CERT_CN=joe\nSSL_PROTOCOL=TLSv1.3\n" +
          "SSL_TLS_SNI_SERVERNAME=www.example.com\nHELO\n",
      );
      expect(await askTls(scene, port, "HELO\n")).not.toContain("joe");
    },
  );
});

describe.skipIf(nginx.isMissing)(`nginx${nginx.why}`, () => {
  test("nginx with proxy_protocol announces its clients", async () => {
    await using scene = await newScene({ files: FILES });
    const backend = await startBackend("ours", scene);
    const port = await scene.freePort();
    const target = `proxy_pass 127.0.0.1:${backend}; proxy_protocol on;`;
    await startNginx(scene, port, `server { listen 127.0.0.1:${port}; ${target} }`);
    await expectServed(port);
  });
});

const stunnelProblem = stunnel.why || openssl.why;
describe.skipIf(stunnelProblem !== "")(`stunnel${stunnelProblem}`, () => {
  test("stunnel with protocol = proxy announces its clients", async () => {
    await using scene = await newScene({ files: FILES });
    await makeCertificates(scene);
    const backend = await startBackend("ours", scene);
    const port = await scene.freePort();
    await startStunnel(scene, port, backend);
    const from = (localAddress: string) => askTls(scene, port, "HELO\n", { localAddress });
    expect(await from("127.0.0.9")).toBe(`127.0.0.9 ${port}\nHELO\n`);
    expect(await from("127.0.0.8")).toBe("");
  });
});

const curl = peer("curl");
describe.skipIf(curl.isMissing)(`curl${curl.why}`, () => {
  const SERVE =
    '#!/bin/sh\nwhile read -r line && [ "$line" != "$(printf "\\r")" ]; do :; done\n' +
    'printf "HTTP/1.0 200 OK\\r\\n\\r\\n$TCPREMOTEIP\\n"\n';

  test("curl with --haproxy-protocol announces itself", async () => {
    await using scene = await newScene({ files: { ...FILES, serve: SERVE } });
    const access = ["s6-tcpserver-access", "-v0", "-H", "-i", "rules"];
    const { port } = await startServer(scene, "", [NAME, ...access, "./serve"]);
    const words = ["-sS", "--noproxy", "*", "--haproxy-protocol"];
    const get = (from: string) =>
      scene
        .execute(curl.path, [...words, "--interface", from, `http://127.0.0.1:${port}/`])
        .finished();
    (await get("127.0.0.9")).exits(0).stdoutIs("127.0.0.9\n");
    expect((await get("127.0.0.8")).stdout).toBe("");
  });
});

interface TlsOptions {
  readonly cert?: string;
  readonly key?: string;
  readonly localAddress?: string;
}

/** All that a TLS server on 127.0.0.1 says to a client of www.example.com that sends `text`. */
async function askTls(
  scene: Scene,
  port: number,
  text: string,
  options: TlsOptions = {},
): Promise<string> {
  const ca = scene.read("ca.pem");
  const servername = "www.example.com";
  const checkServerIdentity = (): undefined => undefined;
  const target = { host: "127.0.0.1", port, ca, servername, checkServerIdentity };
  const socket = connect({ ...target, ...options });
  socket.setEncoding("latin1");
  let answer = "";
  socket.on("data", (piece: string) => (answer += piece));
  socket.on("error", () => socket.destroy());
  socket.once("secureConnect", () => setImmediate(() => socket.end(text)));
  await once(socket, "close");
  return answer;
}
