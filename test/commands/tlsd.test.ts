/** s6-tlsd as shipped: its options, its variables, what it tells its program, and its exit codes. */

import { createPrivateKey } from "node:crypto";
import { chmodSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import { bothWays, isRoot, newScene, withoutOthers } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askTls, dialTls, refusal } from "../support/tls-dial.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** The lines of env(1) that are about TLS, sorted. */
function aboutTls(output: string): string[] {
  return output
    .split("\n")
    .filter((line) => /^(SSL_|TLS_|CA|CERT|KEY)/.test(line))
    .toSorted();
}

function words(line: string): string[] {
  return line.split(" ").filter((word) => word !== "");
}

describe.concurrent("the program's environment", () => {
  bothWays(
    "the environment of a program of s6-tlsd has the connection's variables, and not those of the keys",
    async (newScene) => {
      await using scene = await newScene();
      const { root, serverEnvironment } = makeCertificates(scene.directory);
      const names = { "KEYFILE:a.example.com": "none", "CERTFILE:b.example.com": "none" };
      const env = { ...serverEnvironment, ...names, TLS_UID: "0", TLS_GID: "0", CADIR: "" };
      const program = ["s6-tlsd", "env"];
      const { port } = await startServer(scene, "", program, { env });
      expect(aboutTls(await askTls(port, "", { ca: root.pem }))).toEqual([
        "SSL_CIPHER=TLS_AES_128_GCM_SHA256",
        "SSL_PROTOCOL=TLSv1.3",
        "SSL_TLS_SNI_SERVERNAME=localhost",
      ]);
      expect(aboutTls(await askTls(port, "", { maxVersion: "TLSv1.2", servername: "" }))).toEqual([
        "SSL_CIPHER=ECDHE-ECDSA-AES128-GCM-SHA256",
        "SSL_PROTOCOL=TLSv1.2",
      ]);
      expect(await askTls(port, "", { servername: "Other.Example.COM." })).toContain(
        "SSL_TLS_SNI_SERVERNAME=Other.Example.COM\n",
      );
    },
  );

  bothWays(
    "the environment of a program of s6-tlsd has all variables with -Z, until -z",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment } = makeCertificates(scene.directory);
      const env = { ...serverEnvironment, TLS_UID: "0", "KEYFILE:x.example.com": "none" };
      const program = ["s6-tlsd", "-z", "--keep", "env"];
      const { port } = await startServer(scene, "", program, { env });
      const { CAFILE, CERTFILE, KEYFILE } = serverEnvironment;
      expect(aboutTls(await askTls(port))).toEqual(
        [
          `CAFILE=${CAFILE}`,
          `CERTFILE=${CERTFILE}`,
          "KEYFILE:x.example.com=none",
          `KEYFILE=${KEYFILE}`,
          "SSL_CIPHER=TLS_AES_128_GCM_SHA256",
          "SSL_PROTOCOL=TLSv1.3",
          "SSL_TLS_SNI_SERVERNAME=localhost",
          "TLS_UID=0",
        ].toSorted(),
      );
      const { port: clean } = await startServer(scene, "", ["s6-tlsd", "-Z", "-z", "env"], {
        env,
      });
      expect(aboutTls(await askTls(clean))).toHaveLength(3);
    },
  );

  test("the program's environment names the pid that the server has made", async () => {
    await using scene = await newScene();
    const { serverEnvironment } = makeCertificates(scene.directory);
    const program = ["s6-tlsd", "sh", "-c", "echo $$"];
    const server = await startServer(scene, "-v", program, { env: serverEnvironment });
    const pid = (await askTls(server.port)).trim();
    await server.process.line(new RegExp(` accept .* pid ${pid} `));
    await server.process.line(new RegExp(` end pid ${pid} exitcode 0 `));
  });
});

describe.concurrent("versions, ciphers and protocols", () => {
  bothWays("s6-tlsd uses the versions, ciphers and protocols that are given", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const says = ["sh", "-c", "echo $SSL_PROTOCOL $SSL_CIPHER $SSL_TLS_ALPN_PROTOCOL"];
    const suite = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const old = words(`s6-tlsd --max-version=1.2 --ciphers=${suite} --alpn=h2,imap`);
    const { port } = await startServer(scene, "", [...old, ...says], { env });
    expect(await askTls(port, "", { ALPNProtocols: ["imap", "h2"] })).toBe(`TLSv1.2 ${suite} h2\n`);
    expect(await askTls(port)).toBe(`TLSv1.2 ${suite}\n`);
    expect(await refusal(port, { ALPNProtocols: ["smtp"] })).toMatch(/no application protocol/);
    expect(await refusal(port, { minVersion: "TLSv1.3" })).toMatch(/alert protocol version/);
    const { port: newer } = await startServer(
      scene,
      "",
      ["s6-tlsd", "--min-version=1.3", ...says],
      {
        env,
      },
    );
    expect(await askTls(newer)).toBe("TLSv1.3 TLS_AES_128_GCM_SHA256\n");
    expect(await refusal(newer, { maxVersion: "TLSv1.2" })).toMatch(/alert protocol version/);
  });
});

describe.concurrent("a handshake", () => {
  bothWays(
    "s6-tlsd -K gives up a handshake at its deadline, and other connections go on",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const program = words("s6-tlsd -K 1000 cat");
      const { port, process } = await startServer(scene, "-v", program, { env });
      await using silent = await dial(port);
      expect(await askTls(port, "hello")).toBe("hello");
      expect(await silent.rest()).toBe("");
      await process.line(/^s6-tlsd-io: fatal: handshake timed out$/);
      await process.line(/ end pid \d+ exitcode 98 /);
    },
  );

  bothWays("s6-tlsd -v0 gives up a handshake without a message", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const { port, process } = await startServer(scene, "-v", words("s6-tlsd -v0 -K 50 cat"), {
      env,
    });
    expect(await ask(port)).toBe("");
    await process.line(/ end pid \d+ exitcode 98 /);
    process.signal("SIGTERM");
    // The end of the stream is no timeout: the client above has closed, but nothing was said of time.
    expect((await process.finished()).stderr).not.toMatch(/timed out/);
  });

  bothWays(
    "a handshake that fails is logged in one line, with the reason of the peer",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const { port, process } = await startServer(scene, "-v", ["s6-tlsd", "cat"], { env });
      const during =
        "s6-tlsd-io: fatal: the TLS engine closed the connection during the handshake: ";
      await ask(port, "");
      await process.line(new RegExp(`^${during}the peer closed the connection$`));
      await process.line(/ end pid \d+ exitcode 98 /);
      await ask(port, "GET / HTTP/1.0\r\n\r\n");
      await process.line(new RegExp(`^${during}http request$`));
      const stranger = newAuthority();
      expect(await refusal(port, { ca: stranger.pem })).toMatch(/unable to verify/);
      await process.line(new RegExp(`^${during}|exitcode`));
    },
  );
});

interface Failure {
  readonly title: string;
  readonly code: number;
  readonly message: RegExp;
  readonly options?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const FAILURES: readonly Failure[] = [
  { title: "no key", code: 100, message: /KEYFILE not set/, env: { KEYFILE: undefined } },
  { title: "no certificate", code: 100, message: /CERTFILE not set/, env: { CERTFILE: undefined } },
  {
    title: "a key that is not there",
    code: 96,
    message: /KEYFILE nowhere/,
    env: { KEYFILE: "nowhere" },
  },
  {
    title: "an encrypted key",
    code: 96,
    message: /encrypted with a passphrase/,
    env: { KEYFILE: "encrypted" },
  },
  {
    title: "the key of another",
    code: 96,
    message: /its key is not that of KEYFILE/,
    env: { KEYFILE: "client.key" },
  },
  {
    title: "-y without anchors",
    code: 100,
    message: /CADIR or CAFILE not set/,
    options: "-y",
    env: { CAFILE: undefined },
  },
  {
    title: "-Y without anchors",
    code: 100,
    message: /CADIR or CAFILE not set/,
    options: "-Y",
    env: { CAFILE: undefined },
  },
  {
    title: "anchors that are not there",
    code: 96,
    message: /CAFILE nowhere/,
    options: "-y",
    env: { CAFILE: "nowhere" },
  },
  {
    title: "level 2 without names",
    code: 96,
    message: /no suitable keypairs found in the environment/,
    options: "-k 2",
  },
  {
    title: "a named key alone",
    code: 96,
    message: /KEYFILE:x is set, CERTFILE:x is not/,
    options: "--sni",
    env: { "KEYFILE:x": "server.key" },
  },
  { title: "a TLS_UID that is none", code: 100, message: /TLS_UID/, env: { TLS_UID: "x" } },
  { title: "an empty TLS_GID", code: 100, message: /TLS_GID/, env: { TLS_GID: "" } },
  {
    title: "ciphers that are none",
    code: 100,
    message: /no such ciphers: NONE/,
    options: "--ciphers=NONE",
  },
];

describe.concurrent("unusable settings", () => {
  async function sceneOf(): Promise<{ scene: Scene; env: Record<string, string> }> {
    const scene = await newScene();
    const { server, serverEnvironment } = makeCertificates(scene.directory);
    const key = createPrivateKey(server.keyPem);
    const encryption = { cipher: "aes-256-cbc", passphrase: "secret" } as const;
    scene.write(
      "encrypted",
      key.export({ type: "pkcs8", format: "pem", ...encryption }).toString(),
    );
    return { scene, env: serverEnvironment };
  }

  test.each(FAILURES)(
    "s6-tlsd without usable settings exits $code: $title",
    async ({ options = "", env: edits, code, message }) => {
      const { scene, env } = await sceneOf();
      await using _ = scene;
      const all = ["s6-tlsd", ...words(options), "touch", "ran"];
      const alone = await scene.run("s6-tlsd", all.slice(1), { env: { ...env, ...edits } });
      alone.exits(code).stdoutIs("").stderrMatches(message);
      expect(alone.stderr).toMatch(/^s6-tlsd(-io)?: fatal: [^\n]*\n$/);
      expect(scene.has("ran")).toBe(false);
    },
  );

  // Variables that are not set may be set for each client; what is set and of no use never helps.
  test.each(FAILURES.filter(({ message }) => !/not set|no suitable/.test(message.source)))(
    "a server does not start without usable settings: $title",
    async ({ options = "", env: edits, code, message }) => {
      const { scene, env } = await sceneOf();
      await using _ = scene;
      const program = ["s6-tlsd", ...words(options), "touch", "ran"];
      const server = await scene.run("s6-tcpserver", ["127.0.0.1", "0", ...program], {
        env: { ...env, ...edits },
      });
      server.exits(code).stderrMatches(message);
    },
  );

  test.skipIf(isRoot && withoutOthers !== "")(
    `s6-tlsd reports an unreadable key${isRoot ? withoutOthers : ""}`,
    async () => {
      const { scene, env } = await sceneOf();
      await using _ = scene;
      chmodSync(scene.path("server.key"), 0);
      const identity = isRoot ? ["-u", "65534"] : [];
      const run = await scene.run("s6-applyuidgid", [...identity, "s6-tlsd", "true"], { env });
      run.exits(96).stderrMatches(/Permission denied/);
    },
  );

  test.each([
    ["-K x", "handshake-timeout"],
    ["-v x", "verbosity"],
    ["-k x", "sni-level"],
    ["--min-version=1.1", "min-version"],
    ["--min-version=1.3 --max-version=1.2", "max-version"],
    ["--alpn=,", "alpn"],
    ["--idle-timeout=x", "idle-timeout"],
    ["--frob=1", "frob"],
    ["-q", "q"],
  ])("s6-tlsd %s is a usage error", async (options, what) => {
    await using scene = await newScene();
    const run = await scene.run("s6-tlsd", [...words(options), "true"]);
    run
      .exits(100)
      .stdoutIs("")
      .stderrMatches(new RegExp(`^s6-tlsd: fatal: .*${what}`));
  });

  test("s6-tlsd without a program or a connection fails", async () => {
    const { scene, env } = await sceneOf();
    await using _ = scene;
    (await scene.run("s6-tlsd", [])).exits(100).stderrMatches(/missing operand: prog/);
    const closed = await scene.shell("s6-tlsd true <&-", { env });
    closed
      .exits(111)
      .stderrIs("s6-tlsd: fatal: unable to check network fds: Bad file descriptor\n");
  });
});

bothWays(
  "s6-tlsd takes keys of every kind, in PEM and in DER, and chains",
  async (newScene, way) => {
    await using scene = await newScene();
    const kinds = ["p256", "rsa", "ed25519"] as const;
    for (const key of way === "fused" ? kinds : kinds.slice(2)) {
      const root = newAuthority();
      const chained = root.issueAuthority().issue({ key, names: ["dns:localhost"] });
      const { keyFile, certFile } = chained.write(scene.path("chained"));
      const env = { KEYFILE: keyFile, CERTFILE: certFile };
      const { port } = await startServer(scene, "", ["s6-tlsd", "echo", key], { env });
      expect(await askTls(port, "", { ca: root.pem })).toBe(`${key}\n`);
      const single = root.issue({ key, names: ["dns:localhost"] });
      scene.write("key.der", single.key.export({ type: "pkcs8", format: "der" }));
      scene.write("certificate.der", single.der);
      const der = { KEYFILE: scene.path("key.der"), CERTFILE: scene.path("certificate.der") };
      const other = await startServer(scene, "", ["s6-tlsd", "echo", "DER"], { env: der });
      expect(await askTls(other.port, "", { ca: root.pem })).toBe("DER\n");
    }
  },
);

bothWays("the variables of s6-tlsd may be set for each client, by rules", async (newScene) => {
  await using scene = await newScene({ files: { "rules/ip4/127.0.0.1_32/allow": "" } });
  const { root, client, serverEnvironment } = makeCertificates(scene.directory);
  const { CAFILE, ...env } = serverEnvironment;
  scene.write("rules/ip4/127.0.0.1_32/env/CAFILE", CAFILE);
  scene.write("rules/ip4/127.0.0.2_32/allow", "");
  const program = words("s6-tcpserver-access -H -i rules -- s6-tlsd -y echo hello");
  const { port, process } = await startServer(scene, "-v", program, { env });
  const pair = { cert: client.pem, key: client.keyPem, ca: root.pem };
  expect(await askTls(port, "", pair)).toBe("hello\n");
  expect(await ask(port, "", { from: "127.0.0.2" })).toBe("");
  await process.line(/^s6-tlsd-io: fatal: CADIR or CAFILE not set$/);
  await process.line(/ end pid \d+ exitcode 100 /);
});

bothWays("s6-tlsd in s6-tlsd is TLS inside TLS", async (newScene) => {
  await using scene = await newScene();
  const { root, serverEnvironment: env } = makeCertificates(scene.directory);
  const program = words("s6-tlsd -Z -y s6-tlsd sh -c");
  program.push('echo "$SSL_TLS_SNI_SERVERNAME ${SSL_PEER_CERT_SUBJECT-none}"; exec cat');
  const { client } = makeCertificates(scene.path("clients"));
  const trusted = { ...env, CAFILE: scene.path("clients/ca.crt") };
  const { port } = await startServer(scene, "", program, { env: trusted });
  const pair = { cert: client.pem, key: client.keyPem, ca: root.pem };
  await using outer = await dialTls(port, pair);
  outer.socket.removeAllListeners("data");
  await using inner = await dialTls(0, { socket: outer.socket, ca: root.pem, port: undefined });
  inner.end("hello\n");
  expect(await inner.rest()).toBe("localhost CN=client\nhello\n");
});

test("ucspi-tls-engine fails unless a server starts it", async () => {
  await using scene = await newScene();
  const run = await scene.run("ucspi-tls-engine", []);
  run.exits(100).stderrMatches(/^ucspi-tls-engine: fatal: .*started by servers/);
});
