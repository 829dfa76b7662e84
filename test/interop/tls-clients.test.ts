/** Everybody's TLS clients, before a daemon that knows no TLS and s6-tlsserver in front of it. */

import { connect } from "node:net";
import forge from "node-forge";
import { Agent, request } from "undici";
import { describe, expect, test } from "vitest";
import { peer } from "../support/scene.ts";
import type { Run } from "../support/scene.ts";
import { COUNTER, newTlsScene, startTlsServer, teller } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const openssl = peer("openssl");
const gnutls = peer("gnutls-cli");
const busybox = peer("busybox");
const curl = peer("curl");

const VERSIONS = ["TLSv1.2", "TLSv1.3"];

// With -S: OpenSSL takes the end of a connection without close_notify for an error.
describe.skipIf(openssl.isMissing)(`openssl s_client${openssl.why}`, () => {
  /** A client that checks whom it talks to, and stays until the server has closed. */
  function client(
    { scene, pki }: TlsScene,
    port: number,
    words: readonly string[],
    input = "",
  ): Promise<Run> {
    const to = ["-connect", `127.0.0.1:${port}`, "-CAfile", pki.caFile, "-verify_return_error"];
    return scene.execute(openssl.path, ["s_client", ...to, ...words], { input }).finished();
  }

  test.each(VERSIONS)("openssl s_client speaks %s", async (version) => {
    await using ground = await newTlsScene();
    const program = ["sh", "-c", "echo $SSL_PROTOCOL; head -n 1"];
    const { port } = await startTlsServer(ground, "-S", program);
    const words = ["-quiet", "-verify_hostname", "localhost", flagOf(version)];
    const run = await client(ground, port, words, "hello\n");
    run.exits(0).stdoutIs(`${version}\nhello\n`);
  });

  test.each(VERSIONS)(
    "openssl s_client resumes a session of %s on another connection",
    async (version) => {
      await using ground = await newTlsScene();
      const { port } = await startTlsServer(ground, "-S", teller("SSL_PROTOCOL"));
      const words = ["-ign_eof", flagOf(version)];
      const first = await client(ground, port, [...words, "-sess_out", "session"]);
      const second = await client(ground, port, [...words, "-sess_in", "session"]);
      const told = new RegExp(`^SSL_PROTOCOL=${version}$`, "m");
      first
        .exits(0)
        .stdoutMatches(/^New, /m)
        .stdoutMatches(told);
      second
        .exits(0)
        .stdoutMatches(/^Reused, /m)
        .stdoutMatches(told);
    },
  );

  test.each(VERSIONS)(
    "openssl s_client shows a certificate over %s, again when it resumes",
    async (version) => {
      await using ground = await newTlsScene();
      const { certFile, keyFile } = ground.clientFiles;
      const program = teller("SSL_PEER_CERT_HASH", "SSL_PEER_CERT_SUBJECT");
      const { port } = await startTlsServer(ground, "-S -y", program);
      const words = ["-quiet", flagOf(version), "-cert", certFile, "-key", keyFile];
      const seen = `SSL_PEER_CERT_HASH=SHA256:${ground.pki.client.sha256}\nSSL_PEER_CERT_SUBJECT=CN=client\n`;
      const session = ["-sess_out", "session"];
      (await client(ground, port, [...words, ...session])).exits(0).stdoutIs(seen);
      const resumed = ["-sess_in", "session"];
      (await client(ground, port, [...words, ...resumed])).exits(0).stdoutIs(seen);
    },
  );

  test("openssl s_client gets an alert with the reason without a certificate", async () => {
    await using ground = await newTlsScene();
    const { port } = await startTlsServer(ground, "-S -y", ["touch", "ran"]);
    const run = await client(ground, port, ["-quiet"]);
    run.stdoutIs("").stderrMatches(/alert (certificate required|handshake failure)/);
    expect(run.exitCode).not.toBe(0);
    expect(ground.scene.has("ran")).toBe(false);
  });

  test("openssl s_client is served the certificate for the name it asks for", async () => {
    await using ground = await newTlsScene();
    const pairs = {};
    for (const name of ["www.example.com", "*.example.com"]) {
      const files = ground.pki.root
        .issue({ names: [`dns:${name}`] })
        .write(ground.scene.path(name));
      Object.assign(pairs, {
        [`CERTFILE:${name}`]: files.certFile,
        [`KEYFILE:${name}`]: files.keyFile,
      });
    }
    const program = teller("SSL_TLS_SNI_SERVERNAME");
    const env = { KEYFILE: undefined, CERTFILE: undefined, ...pairs };
    const { port } = await startTlsServer(ground, "-S -k 2", program, { env });
    for (const name of ["www.example.com", "mail.example.com"]) {
      const words = ["-quiet", "-servername", name, "-verify_hostname", name];
      const run = await client(ground, port, words);
      run.exits(0).stdoutIs(`SSL_TLS_SNI_SERVERNAME=${name}\n`);
    }
    for (const words of [["-servername", "example.org"], ["-noservername"]]) {
      (await client(ground, port, ["-quiet", ...words]))
        .exits(1)
        .stdoutIs("")
        .stderrMatches(/alert/);
    }
  });

  test.each(VERSIONS)(
    "openssl s_client ends its side of %s, and the program has read everything",
    async (version) => {
      await using ground = await newTlsScene();
      const program = ["sh", "-c", "cat >got; mv got whole; echo done >&2"];
      const { process, port } = await startTlsServer(ground, "-S", program);
      const input = "y\n".repeat(100_000);
      (await client(ground, port, ["-quiet", "-no_ign_eof", flagOf(version)], input)).exits(0);
      await process.line(/^done$/);
      expect(ground.scene.read("whole")).toBe(input);
    },
  );

  test.each(["-tls1", "-tls1_1"])(
    "openssl s_client is refused with an alert when it only has %s",
    async (flag) => {
      await using ground = await newTlsScene();
      const { port } = await startTlsServer(ground, "-S", ["touch", "ran"]);
      const run = await client(ground, port, [flag, "-cipher", "ALL:@SECLEVEL=0"]);
      run.exits(1).stderrMatches(/alert protocol version/);
      expect(ground.scene.has("ran")).toBe(false);
    },
  );
});

function flagOf(version: string): string {
  return version === "TLSv1.2" ? "-tls1_2" : "-tls1_3";
}

describe.skipIf(gnutls.isMissing)(`gnutls-cli${gnutls.why}`, () => {
  function client(
    { scene, pki }: TlsScene,
    port: number,
    words: readonly string[],
    input = "",
  ): Promise<Run> {
    const to = ["--logfile=log", "--x509cafile", pki.caFile, "-p", String(port), "localhost"];
    return scene.execute(gnutls.path, [...words, ...to], { input }).finished();
  }

  test.each([
    ["TLSv1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2"],
    ["TLSv1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3"],
  ])("gnutls-cli speaks %s, ends its side, and is answered then", async (version, priority) => {
    await using ground = await newTlsScene();
    const program = ["sh", "-c", `echo $SSL_PROTOCOL; exec "$@"`, "sh", ...COUNTER];
    const { port } = await startTlsServer(ground, "", program);
    const run = await client(ground, port, ["--priority", priority], "x".repeat(100_000));
    run.exits(0).stdoutIs(`${version}\nread 100000 bytes\n`);
  });

  test("gnutls-cli shows a certificate, and resumes", async () => {
    await using ground = await newTlsScene();
    const { certFile, keyFile } = ground.clientFiles;
    const { port } = await startTlsServer(ground, "-y", teller("SSL_PEER_CERT_SUBJECT"));
    const words = ["--resume", "--x509certfile", certFile, "--x509keyfile", keyFile];
    const run = await client(ground, port, words);
    run.exits(0).stdoutMatches(/SSL_PEER_CERT_SUBJECT=CN=client\n/);
    expect(ground.scene.read("log")).toMatch(/This is a resumed session/);
  });
});

const webProblem = busybox.why || curl.why;
const PAGE = "<p>hello</p>\n";

/** A web server that knows no TLS, made for inetd. */
function startWeb(ground: TlsScene, options = "") {
  const program = [busybox.path, "httpd", "-i", "-h", ground.scene.path("www")];
  return startTlsServer(ground, options, program);
}

describe.skipIf(webProblem !== "")(`curl, reading from busybox httpd${webProblem}`, () => {
  function client({ scene, pki }: TlsScene, words: readonly string[]): Promise<Run> {
    const always = ["-sS", "--noproxy", "*", "--cacert", pki.caFile];
    return scene.execute(curl.path, [...always, ...words]).finished();
  }

  test.each([
    ["TLS 1.2", ["--tls-max", "1.2"]],
    ["TLS 1.3", ["--tlsv1.3"]],
  ])("curl reads over %s, by name and by address", async (_, words) => {
    await using ground = await newTlsScene({ "www/index.html": PAGE });
    const { port } = await startWeb(ground);
    const byAddress = await client(ground, [...words, `https://127.0.0.1:${port}/`]);
    byAddress.exits(0).stdoutIs(PAGE);
    const name = ["--resolve", `localhost:${port}:127.0.0.1`, `https://localhost:${port}/`];
    (await client(ground, [...words, ...name])).exits(0).stdoutIs(PAGE);
  });

  test("curl reads with a certificate", async () => {
    await using ground = await newTlsScene({ "www/index.html": PAGE });
    const { certFile, keyFile } = ground.clientFiles;
    const { port } = await startWeb(ground, "-y");
    const url = `https://127.0.0.1:${port}/`;
    (await client(ground, ["--cert", certFile, "--key", keyFile, url])).exits(0).stdoutIs(PAGE);
    const refused = await client(ground, [url]);
    expect(refused.exitCode).not.toBe(0);
    refused.stdoutIs("");
  });

  test("many curl clients read at a time", async () => {
    const page = "x".repeat(200_000);
    await using ground = await newTlsScene({ "www/index.html": page });
    const { port } = await startWeb(ground);
    const urls = Array.from({ length: 40 }, () => `https://127.0.0.1:${port}/`);
    const run = await client(ground, ["-Z", "--parallel-max", "20", ...urls]);
    run.exits(0);
    expect(run.stdout.length).toBe(40 * page.length);
  });
});

describe.skipIf(busybox.isMissing)(`undici, reading from busybox httpd${busybox.why}`, () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "many undici clients read over %s at a time",
    async (version) => {
      const page = "x".repeat(100_000);
      await using ground = await newTlsScene({ "www/index.html": page });
      const { port } = await startWeb(ground);
      const secrets = { ca: ground.pki.root.pem, minVersion: version, maxVersion: version };
      const agent = new Agent({ connections: 8, connect: secrets });
      const pages = Array.from({ length: 40 }, async () => {
        const { body, statusCode } = await request(`https://127.0.0.1:${port}/`, {
          dispatcher: agent,
        });
        return [statusCode, await body.text()];
      });
      expect(await Promise.all(pages)).toEqual(pages.map(() => [200, page]));
      await agent.close();
    },
  );
});

describe("node-forge with TLS 1.0 and 1.1", () => {
  test("node-forge, which has TLS 1.0 and 1.1 alone, is refused with an alert", async () => {
    await using ground = await newTlsScene();
    const { port } = await startTlsServer(ground, "", ["touch", "ran"]);
    const alert = await forgeAlert(port);
    expect(alert).toEqual({
      level: forge.tls.Alert.Level.fatal,
      description: forge.tls.Alert.Description.protocol_version,
    });
    expect(ground.scene.has("ran")).toBe(false);
  });
});

/** The alert that ends a handshake of node-forge's. */
function forgeAlert(port: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const session = forge.tls.createConnection({
      server: false,
      connected: () => reject(new Error("the handshake succeeded")),
      tlsDataReady: ({ tlsData }) => socket.write(tlsData.getBytes(), "latin1"),
      dataReady: () => {},
      closed: () => reject(new Error("closed without an alert")),
      error: (_, error) => resolve(error.alert),
    });
    socket.on("connect", () => session.handshake());
    socket.on("data", (bytes) => session.process(bytes.toString("latin1")));
    socket.on("end", () => session.close());
    socket.on("error", reject);
  });
}
