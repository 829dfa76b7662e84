import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { parseExtensions } from "../../src/proxy/index.ts";
import type { ProxyExtensions } from "../../src/proxy/index.ts";
import { end, parsed } from "../proxy/samples.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "proxy-client";

const OWN = {
  PROTO: "TCP",
  TCPREMOTEIP: "192.0.2.20",
  TCPREMOTEPORT: "8000",
  TCPLOCALIP: "192.0.2.1",
  TCPLOCALPORT: "49152",
};

/** The bytes written to descriptor 1, in place of a connection. */
function send(
  scene: Scene,
  options: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Run> {
  return scene.run(NAME, ["-7", "1", ...options, "echo", "HELO"], { env: { ...OWN, ...env } });
}

function extensionsOf(run: Run): ProxyExtensions {
  const { header, bytesUsed } = parsed(run.exits(0).stdoutBytes);
  expect(run.stdoutBytes.toString("latin1", bytesUsed)).toBe("HELO\n");
  return "tlvs" in header ? parseExtensions(header.tlvs) : {};
}

describe("proxy-client", () => {
  bothWays("proxy-client announces its own connection, in either form", async (newScene) => {
    await using scene = await newScene();
    const text = await send(scene, ["-1"]);
    text.exits(0).stdoutIs("PROXY TCP4 192.0.2.1 192.0.2.20 49152 8000\r\nHELO\n").stderrIs("");
    const { header } = parsed((await send(scene, [])).exits(0).stdoutBytes);
    expect(header).toMatchObject({
      family: "tcp4",
      source: end("192.0.2.1", 49152),
      destination: end("192.0.2.20", 8000),
    });
  });

  bothWays("proxy-client announces no connection with --local", async (newScene) => {
    await using scene = await newScene();
    const none = { PROTO: undefined };
    (await send(scene, ["-1", "--local"], none)).exits(0).stdoutIs("PROXY UNKNOWN\r\nHELO\n");
    const { header } = parsed((await send(scene, ["--local"], none)).exits(0).stdoutBytes);
    expect(header).toEqual({ command: "local" });
  });

  test("proxy-client announces the client's TLS, unless it is told not to", async () => {
    await using scene = await newScene();
    const env = {
      SSL_PROTOCOL: "TLSv1.3",
      SSL_CIPHER: "TLS_AES_256_GCM_SHA384",
      SSL_TLS_SNI_SERVERNAME: "www.example.com",
      SSL_PEER_CERT_SUBJECT: "C=US, CN=joe",
    };
    expect(extensionsOf(await send(scene, ["--checksum"], env))).toEqual({
      authority: "www.example.com",
      tls: {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        commonName: "joe",
        certificate: "connection",
        isVerified: true,
      },
    });
    expect(extensionsOf(await send(scene, ["--no-tls"], env))).toEqual({});
  });

  test("proxy-client sends TLVs from its options", async () => {
    await using scene = await newScene();
    const run = await send(scene, ["--tlv=5=request 1", "--tlv", "0xEA=\x01vpce-1"]);
    expect(extensionsOf(run)).toEqual({
      uniqueId: Buffer.from("request 1"),
      others: [{ type: 0xea, value: Buffer.from("\x01vpce-1") }],
    });
    for (const wrong of ["256=x", "x", "0x=", "5", "0x123=x"]) {
      (await send(scene, [`--tlv=${wrong}`]))
        .exits(EXIT.usage)
        .stderrIs(`${NAME}: fatal: tlv must be TYPE=TEXT: ${wrong}\n`);
    }
    const long = `--tlv=0xe1=${"x".repeat(4000)}`;
    (await send(scene, [long])).exits(0);
    (await send(scene, [long, long]))
      .exits(EXIT.usage)
      .stdoutIs("")
      .stderrMatches(/too long/);
  });

  bothWays(
    "proxy-client requires the variables of a connection, and an output that can be written",
    async (newScene) => {
      await using scene = await newScene();
      (await send(scene, [], { PROTO: undefined }))
        .exits(EXIT.usage)
        .stdoutIs("")
        .stderrIs(`${NAME}: fatal: PROTO not set\n`);
      (await send(scene, [], { TCPLOCALIP: "x" }))
        .exits(EXIT.usage)
        .stderrIs(`${NAME}: fatal: invalid $TCPLOCALIP\n`);
      (await send(scene, ["--after-tcpclient"]))
        .exits(EXIT.usage)
        .stderrIs(`${NAME}: fatal: proxybak_PROTO not set\n`);
      const full = await scene.shell(`${NAME} -7 1 touch ran >/dev/full`, { env: OWN });
      full
        .exits(EXIT.system)
        .stderrIs(`${NAME}: fatal: unable to write to descriptor 1: No space left on device\n`);
      expect(scene.has("ran")).toBe(false);
    },
  );

  test("proxy-client --explain writes nothing", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["--explain", "-1", "cat"], { env: OWN });
    run
      .exits(0)
      .stdoutMatches(
        /^ {2}sends a PROXY header of version 1 to descriptor 7, announcing this connection$/m,
      );
  });
});

describe("proxy-client and proxy-server", () => {
  const ECHO = ["sh", "-c", "echo $TCPREMOTEIP $TCPREMOTEPORT; cat"];

  for (const version of ["-1", "-2"]) {
    bothWays(
      `proxy-client and proxy-server pass on a client of a relay (${version})`,
      async (newScene) => {
        await using scene = await newScene();
        const backend = await startServer(scene, "", ["proxy-server", ...ECHO]);
        const relay = await startServer(scene, "", [
          ...[NAME, "--before-tcpclient", "s6-tcpclient", "-H", "127.0.0.1", String(backend.port)],
          ...[NAME, version, "--after-tcpclient", "s6-ioconnect"],
        ]);
        const answer = await ask(relay.port, "HELO\n", { from: "127.0.0.9" });
        expect(answer).toMatch(/^127\.0\.0\.9 \d+\nHELO\n$/);
      },
    );
  }

  bothWays(
    "proxy-client and proxy-server pass on a client that was announced to them",
    async (newScene) => {
      await using scene = await newScene();
      const backend = await startServer(scene, "", ["proxy-server", ...ECHO]);
      const relay = await startServer(scene, "", [
        ...["proxy-server", NAME, "--before-tcpclient"],
        ...["s6-tcpclient", "-H", "127.0.0.1", String(backend.port)],
        ...[NAME, "--after-tcpclient", "s6-ioconnect"],
      ]);
      const answer = await ask(relay.port, "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\nHELO\n");
      expect(answer).toBe("192.0.2.7 49152\nHELO\n");
    },
  );

  bothWays(
    "proxy-client and proxy-server leave nothing behind in the environment",
    async (newScene) => {
      await using scene = await newScene();
      const backend = await startServer(scene, "", ["cat"]);
      const run = await scene.run(
        NAME,
        [
          ...["--before-tcpclient", "s6-tcpclient", "-H", "127.0.0.1", String(backend.port)],
          ...[NAME, "--after-tcpclient", "env"],
        ],
        { env: OWN },
      );
      run.exits(0).stdoutMatches(new RegExp(`^TCPREMOTEPORT=${backend.port}$`, "m"));
      expect(run.stdout).not.toContain("proxybak_");
    },
  );
});
