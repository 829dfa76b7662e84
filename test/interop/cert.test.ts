/** Certificates before the judges: OpenSSL and GnuTLS verify them, and shake hands with them. */

import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { HELD_OPEN, newScene, peer } from "../support/scene.ts";

import type { Run, Scene } from "../support/scene.ts";

const openssl = peer("openssl");
const certtool = peer("certtool");

const NAME = "ucspi-cert";
const KEY_TYPES = ["p256", "p384", "rsa2048", "rsa3072", "ed25519"];

/** Can OpenSSL make files in RC2 here? */
const legacy = spawnSync(openssl.path, ["list", "-providers", "-provider", "legacy"]);
const hasLegacy = !openssl.isMissing && legacy.status === 0;
const whyNotLegacy = hasLegacy ? "" : " (skipped: OpenSSL has no legacy provider)";

async function makeCertificates(scene: Scene, keyType: string): Promise<void> {
  const type = `--key-type=${keyType}`;
  const authority = await scene.run(NAME, ["ca", type, "tls"]);
  const server = await scene.run(NAME, [
    "server",
    type,
    "tls",
    "localhost",
    "*.example.org",
    "::1",
  ]);
  const client = await scene.run(NAME, ["client", type, "tls", "alice@example.org"]);
  for (const run of [authority, server, client]) run.exits(EXIT.ok);
}

function askOpenssl(scene: Scene, words: readonly string[]): Promise<Run> {
  return scene.execute(openssl.path, words).finished();
}

function verify(scene: Scene, words: readonly string[]): Promise<Run> {
  return askOpenssl(scene, ["verify", "-x509_strict", "-CAfile", "tls/ca.pem", ...words]);
}

describe.skipIf(openssl.isMissing)(`openssl${openssl.why}`, () => {
  test.each(KEY_TYPES)(
    "openssl accepts certificates with keys of type %s for their purpose",
    async (type) => {
      await using scene = await newScene();
      await makeCertificates(scene, type);
      const server = ["-purpose", "sslserver", "tls/localhost.pem"];
      (await verify(scene, ["-verify_hostname", "www.example.org", ...server])).exits(0);
      (await verify(scene, ["-verify_ip", "::1", ...server])).exits(0);
      const client = ["-purpose", "sslclient", "-verify_email", "alice@example.org"];
      (await verify(scene, [...client, "tls/alice@example.org.pem"])).exits(0);
    },
  );

  test("openssl refuses certificates for other purposes", async () => {
    await using scene = await newScene();
    await makeCertificates(scene, "p256");
    for (const words of [
      ["-purpose", "sslclient", "tls/localhost.pem"],
      ["-purpose", "sslserver", "tls/alice@example.org.pem"],
      ["-verify_hostname", "www.example.com", "tls/localhost.pem"],
    ]) {
      (await verify(scene, words)).exits(2);
    }
  });

  test("openssl reads the profile of RFC 5280 in certificates", async () => {
    await using scene = await newScene();
    await makeCertificates(scene, "rsa2048");
    const text = await askOpenssl(scene, ["x509", "-in", "tls/localhost.pem", "-noout", "-text"]);
    for (const pattern of [
      /Basic Constraints: critical\n +CA:FALSE/,
      /Key Usage: critical\n +Digital Signature, Key Encipherment\n/,
      /Extended Key Usage: \n +TLS Web Server Authentication\n/,
      /Subject Key Identifier: \n/,
      /Authority Key Identifier: \n/,
    ]) {
      text.stdoutMatches(pattern);
    }
    const authority = await askOpenssl(scene, ["x509", "-in", "tls/ca.pem", "-noout", "-text"]);
    authority.stdoutMatches(/Basic Constraints: critical\n +CA:TRUE, pathlen:0/);
    authority.stdoutMatches(/Key Usage: critical\n +Certificate Sign, CRL Sign\n/);
  });

  test.each(["p256", "rsa2048", "ed25519"])(
    "openssl completes handshakes with certificates both ways, %s",
    async (type) => {
      await using scene = await newScene();
      await makeCertificates(scene, type);
      const trust = ["-CAfile", "tls/ca.pem", "-verify_return_error"];
      const words = [
        ...["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-Verify", "2", ...trust],
        ...["-cert", "tls/localhost.pem", "-key", "tls/localhost.key"],
      ];
      const server = scene.execute(openssl.path, words, { input: HELD_OPEN });
      const [, address = ""] = await server.line(/^ACCEPT (\S+)/);
      const client = await askOpenssl(scene, [
        ...["s_client", "-brief", "-connect", address, "-verify_hostname", "localhost", ...trust],
        ...["-cert", "tls/alice@example.org.pem", "-key", "tls/alice@example.org.key"],
      ]);
      client.exits(0).stderrMatches(/^Verification: OK$/m);
      (await server.finished()).exits(0);
    },
  );

  test("openssl makes an authority that certificates can be signed with", async () => {
    await using scene = await newScene({ files: { "tls/": "" } });
    const made = await askOpenssl(scene, [
      ...["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/O=Example/CN=Other CA"],
      ...[
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-keyout",
        "tls/ca.key",
        "-out",
        "tls/ca.pem",
      ],
    ]);
    made.exits(0);
    (await scene.run(NAME, ["server", "tls", "localhost"])).exits(EXIT.ok).stderrIs("");
    (await verify(scene, ["-purpose", "sslserver", "tls/localhost.pem"])).exits(0);
  });

  const exports = [
    { title: "as it does by default", words: [], skips: false },
    { title: "with triple DES", words: ["-legacy", "-descert"], skips: !hasLegacy },
    { title: "with RC2", words: ["-legacy"], skips: !hasLegacy },
  ];

  describe.each(exports)("exports PKCS #12 $title", ({ words, skips }) => {
    test.skipIf(skips).each(["p256", "rsa2048", "ed25519"])(
      `a PKCS #12 file of openssl is imported, %s${skips ? whyNotLegacy : ""}`,
      async (type) => {
        await using scene = await newScene({ files: { secret: "geheim\n" } });
        await makeCertificates(scene, type);
        const made = await askOpenssl(scene, [
          ...["pkcs12", "-export", "-passout", "file:secret", "-out", "old.p12", ...words],
          ...["-inkey", "tls/localhost.key", "-in", "tls/localhost.pem", "-certfile", "tls/ca.pem"],
        ]);
        made.exits(0);
        const run = await scene.run(NAME, ["import", "-p", "secret", "old.p12", "new"]);
        run.exits(EXIT.ok).stderrIs("");
        expect(scene.read("new/old.key")).toBe(scene.read("tls/localhost.key"));
        const chain = scene.read("tls/localhost.pem") + scene.read("tls/ca.pem");
        expect(scene.read("new/old.pem")).toBe(chain);
      },
    );
  });
});

test.skipIf(certtool.isMissing)(
  `certtool accepts a server's certificate${certtool.why}`,
  async () => {
    await using scene = await newScene();
    await makeCertificates(scene, "p256");
    const words = [
      "--verify",
      "--load-ca-certificate",
      "tls/ca.pem",
      "--infile",
      "tls/localhost.pem",
    ];
    const purpose = [
      "--verify-hostname",
      "www.example.org",
      "--verify-purpose",
      "1.3.6.1.5.5.7.3.1",
    ];
    const run = await scene.execute(certtool.path, [...words, ...purpose]).finished();
    run.exits(0).stdoutMatches(/The certificate is trusted/);
  },
);
