/** The TCP server with TLS, as those who import it see it. */

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { TcpServer } from "../../src/index.ts";
import type { Handler, TcpConnection, TcpServerOptions } from "../../src/index.ts";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import type { TestCertificates } from "../support/certificates.ts";
import { BIN, newScene, ROOT } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { clientAt, clientHello, Flood } from "../tls/floods.ts";
import { until } from "../tls/processes.ts";
import { dial } from "./dial.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const ENVIRONMENT = { PATH: `${BIN}:${process.env["PATH"] ?? ""}` };

function filesOf({ serverEnvironment }: TestCertificates): { certificate: string; key: string } {
  return { certificate: serverEnvironment.CERTFILE, key: serverEnvironment.KEYFILE };
}

async function serve(
  options: Partial<TcpServerOptions> & Pick<TcpServerOptions, "serve">,
): Promise<TcpServer & { readonly port: number }> {
  const server = new TcpServer({ listen: LOOPBACK, ...options });
  const [{ port } = { port: 0 }] = await server.start();
  return Object.assign(server, { port });
}

/** All that a client reads; the code of the failure where the connection fails. */
async function ask(
  port: number,
  pki: TestCertificates,
  { onSession, ...options }: ConnectionOptions & { onSession?: (session: Buffer) => void } = {},
) {
  const socket = connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: pki.root.pem,
    ...options,
  });
  if (onSession !== undefined) socket.on("session", onSession);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise<string>((resolve) => {
    socket.once("error", ({ message }) => resolve(`error: ${message}`));
    socket.once("end", () => resolve(Buffer.concat(chunks).toString()));
    socket.once("close", () => resolve(Buffer.concat(chunks).toString()));
  });
}

const tellFacts: Handler = ({ stream, tls, environment }: TcpConnection) => {
  const variables = environment["SSL_PEER_CERT_SUBJECT"] ?? "nobody";
  stream.end([tls?.protocol, tls?.serverName, tls?.alpn, variables].join(" "));
};

describe("a function behind TLS", () => {
  test("a function behind TLS gets the results of the handshake", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const tls = {
      ...filesOf(pki),
      alpn: ["echo"],
      clientCertificate: "optional",
      authorities: { file: pki.caFile },
    } as const;
    await using server = await serve({ tls, serve: tellFacts });
    expect(await ask(server.port, pki, { ALPNProtocols: ["echo"] })).toBe(
      "TLSv1.3 localhost echo nobody",
    );
    const client = { cert: pki.client.pem, key: pki.client.keyPem, maxVersion: "TLSv1.2" } as const;
    expect(await ask(server.port, pki, client)).toBe("TLSv1.2 localhost  CN=client");
  });

  test("a function behind TLS is not called for a client without the certificate it must have", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const refusals: string[] = [];
    let calls = 0;
    await using server = await serve({
      tls: { ...filesOf(pki), clientCertificate: "required", authorities: { file: pki.caFile } },
      serve: ({ stream }) => void stream.end(`${++calls}`),
      onRefused: ({ reason }) => refusals.push(reason),
    });
    expect(await ask(server.port, pki)).toMatch(/alert certificate required/);
    const client = { cert: pki.client.pem, key: pki.client.keyPem };
    expect(await ask(server.port, pki, client)).toBe("1");
    expect(refusals).toHaveLength(1);
  });

  test("a function behind TLS is not called for a client that no rule admits", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const rules = scene.path("rules");
    const name = `clientcert/sha256:${pki.client.sha256}`;
    writeRule(scene, `rules/${name}/allow`);
    const tls = {
      ...filesOf(pki),
      clientCertificate: "optional",
      authorities: { file: pki.caFile },
      rules: { directory: rules },
    } as const;
    await using server = await serve({ tls, serve: ({ stream }) => void stream.end("welcome") });
    const client = { cert: pki.client.pem, key: pki.client.keyPem };
    expect(await ask(server.port, pki, client)).toBe("welcome");
    expect(await ask(server.port, pki)).not.toBe("welcome");
  });

  test("a function behind TLS is not called for a client whose names cannot be read, where there are rules", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    writeRule(scene, "rules/clientcert/@/allow");
    const refusals: string[] = [];
    await using server = await serve({
      tls: {
        ...filesOf(pki),
        clientCertificate: "required",
        authorities: { file: pki.caFile },
        rules: { directory: scene.path("rules") },
      },
      serve: ({ stream }) => void stream.end("welcome"),
      onRefused: ({ reason }) => refusals.push(reason),
    });
    const named = (name: string): ConnectionOptions => {
      const { pem, keyPem } = pki.root.issue({ subject: "", names: [name] });
      return { cert: pem, key: keyPem };
    };
    expect(await ask(server.port, pki, named("email:me@example.com"))).toBe("welcome");
    expect(await ask(server.port, pki, named("email:two words"))).not.toBe("welcome");
    expect(refusals).toEqual([
      "its alternative names cannot be read, or are longer than 2048 bytes",
    ]);
  });

  test("a function behind TLS is not called while the authorities cannot be read", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const refusals: string[] = [];
    const warnings: string[] = [];
    await using server = await serve({
      tls: { ...filesOf(pki), clientCertificate: "required", authorities: { file: pki.caFile } },
      serve: ({ stream }) => void stream.end("welcome"),
      onRefused: ({ reason }) => refusals.push(reason),
      onError: (error) => warnings.push(String(error)),
    });
    const client = { cert: pki.client.pem, key: pki.client.keyPem };
    writeFileSync(pki.caFile, "");
    for (let times = 0; times < 2; times += 1) {
      expect(await ask(server.port, pki, { ...client, ca: pki.root.pem })).not.toBe("welcome");
    }
    const why = expect.stringMatching(/^unable to use CAFILE .*: it is neither PEM nor /) as string;
    expect(refusals).toEqual([why, why]);
    expect(warnings).toEqual([
      expect.stringMatching(/; connections are refused until that can be used$/),
    ]);
    writeFileSync(pki.caFile, pki.root.pem);
    expect(await ask(server.port, pki, client)).toBe("welcome");
  });

  test("a function behind TLS is not called for a client whose authority is replaced before its handshake", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const refusals: string[] = [];
    await using server = await serve({
      tls: { ...filesOf(pki), clientCertificate: "optional", authorities: { file: pki.caFile } },
      serve: ({ stream, tls }) => void stream.end(`welcome ${tls?.peer?.sha256}`),
      onRefused: ({ reason }) => refusals.push(reason),
    });
    const client = { cert: pki.client.pem, key: pki.client.keyPem };
    const early = await dial(server.port);
    expect(await ask(server.port, pki, client)).toBe(`welcome ${pki.client.sha256}`);
    writeFileSync(pki.caFile, newAuthority().pem);
    expect(await ask(server.port, pki, { ...client, socket: early.socket })).not.toMatch(/welcome/);
    expect(refusals).toEqual([expect.stringMatching(/^an authority was withdrawn /)]);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a function behind TLS gets the name of a client that resumes a session of %s",
    async (version) => {
      await using scene = await newScene();
      const pki = makeCertificates(scene.directory);
      const seen: unknown[] = [];
      await using server = await serve({
        tls: filesOf(pki),
        serve: ({ stream, tls }) => {
          const { isSessionReused } = stream as TLSSocket;
          seen.push([tls?.serverName, isSessionReused.call(stream)]);
          stream.end("hello");
        },
      });
      const sessions: Buffer[] = [];
      for (const servername of ["localhost", "localhost", "other.example"]) {
        const session = sessions.at(0);
        await ask(server.port, pki, {
          servername,
          rejectUnauthorized: false,
          maxVersion: version,
          ...(session === undefined ? {} : { session }),
          onSession: (data) => sessions.push(data),
        });
      }
      expect(seen).toEqual([
        ["localhost", false],
        ["localhost", true],
        ["other.example", false],
      ]);
    },
  );

  test("a function behind TLS gets the half-close of the client, and may still answer", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    await using server = await serve({
      tls: filesOf(pki),
      allowHalfOpen: true,
      serve: ({ stream }) => void stream.resume().once("end", () => stream.end("answer")),
    });
    const socket = connect({ port: server.port, host: "127.0.0.1", ca: pki.root.pem });
    socket.end("question");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => socket.once("close", resolve));
    expect(Buffer.concat(chunks).toString()).toBe("answer");
  });

  test("a function behind TLS loses its TLS before the socket below it when the server is closed", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    let handed: (stream: Duplex) => void = () => undefined;
    const serving = new Promise<Duplex>((resolve) => (handed = resolve));
    await using server = await serve({ tls: filesOf(pki), serve: ({ stream }) => handed(stream) });
    const asking = ask(server.port, pki);
    const stream = await serving;
    const closing = server.close();
    expect(stream.destroyed).toBe(true);
    await closing;
    expect(await asking).toBe("");
  });

  test("a function behind TLS is served with a new certificate from the next connection on", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.path("old"));
    const other = makeCertificates(scene.path("new"));
    const errors: unknown[] = [];
    await using server = await serve({
      tls: filesOf(pki),
      serve: ({ stream }) => void stream.end("hello"),
      onError: (error) => errors.push(error),
    });
    expect(await ask(server.port, pki)).toBe("hello");
    copyFileSync(other.serverEnvironment.KEYFILE, pki.serverEnvironment.KEYFILE);
    expect(await ask(server.port, pki)).toBe("hello"); // the new key does not fit: the old pair
    copyFileSync(other.serverEnvironment.CERTFILE, pki.serverEnvironment.CERTFILE);
    expect(await ask(server.port, other)).toBe("hello");
    expect(String(errors[0])).toMatch(/stay in use/);
  });
});

test("a handshake that does not begin is ended at its deadline", async () => {
  await using scene = await newScene();
  const pki = makeCertificates(scene.directory);
  let tell: (reason: string) => void = () => {};
  const refusal = new Promise<string>((resolve) => (tell = resolve));
  await using server = await serve({
    tls: { ...filesOf(pki), handshakeTimeoutMs: 20 },
    serve: ({ stream }) => void stream.end(),
    onRefused: ({ reason }) => tell(reason),
  });
  await using silent = await dial(server.port);
  expect(await refusal).toBe("handshake timed out");
  expect(await silent.rest()).toBe("");
});

test("a chain runs behind TLS, with the variables of the handshake", async () => {
  await using scene = await newScene();
  const pki = makeCertificates(scene.directory);
  await using server = await serve({
    tls: filesOf(pki),
    environment: ENVIRONMENT,
    serve: ["sh", "-c", "echo $SSL_PROTOCOL $SSL_TLS_SNI_SERVERNAME ${KEYFILE-unset}"],
  });
  expect(await ask(server.port, pki)).toBe("TLSv1.3 localhost unset\n");
  expect(await ask(server.port, pki)).toBe("TLSv1.3 localhost unset\n");
});

test("a server whose key is unusable does not start", async () => {
  await using scene = await newScene();
  const pki = makeCertificates(scene.directory);
  const tls = { certificate: pki.serverEnvironment.CERTFILE, key: pki.caFile };
  const server = new TcpServer({ listen: LOOPBACK, tls, serve: ({ stream }) => void stream.end() });
  await expect(server.start()).rejects.toThrow(/unable to use KEYFILE/);
});

describe("a process after its server", () => {
  const SERVER = `
    import { connect } from "node:tls";
    import { TcpServer } from ${JSON.stringify(join(ROOT, "dist/lib/index.js"))};
    const [mode, certificate, key] = process.argv.slice(1);
    const server = new TcpServer({
      listen: { host: "127.0.0.1", port: 0 },
      tls: { certificate, key },
      serve: mode.includes("chain") ? ["cat"] : ({ stream }) => stream.pipe(stream),
    });
    const [{ port }] = await server.start();
    if (mode.includes("unused")) await server.close();
    else {
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
      socket.on("data", (chunk) => process.stdout.write(chunk));
      socket.on("close", () => server.close());
      socket.end("echo");
    }
  `;

  test.each([
    ["a function", "echo"],
    ["a chain", "echo"],
    ["a function, unused", ""],
    ["a chain, unused", ""],
  ])("a process whose server has been closed ends when it served by %s", async (mode, output) => {
    await using scene = await newScene();
    const { certificate, key } = filesOf(makeCertificates(scene.directory));
    const words = ["--input-type=module", "-e", SERVER, mode, certificate, key];
    const run = await scene.execute(process.execPath, words).finished(); // and so has its engine
    run.exits(0).stdoutIs(output).stderrIs("");
  });
});

function writeRule(scene: Scene, path: string): void {
  mkdirSync(dirname(scene.path(path)), { recursive: true });
  writeFileSync(scene.path(path), "");
}

describe("a flood of handshakes that are never completed", () => {
  test("a flood of handshakes that are never completed does not keep a client of another address out", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    const refused: string[] = [];
    const tls = { ...filesOf(pki), handshakes: { perSource: 2, inAll: 4 } };
    await using server = await serve({
      tls,
      serve: ({ stream }) => void stream.end("served"),
      onRefused: ({ reason }) => refused.push(reason),
    });
    using flood = new Flood();
    await flood.send(server.port, await clientHello(), 40, ["127.0.1.1"]);
    await until(() => flood.closed >= 20);
    for (let count = 0; count < 5; count += 1) {
      expect(await ask(server.port, pki, clientAt("127.0.2.1"))).toBe("served");
    }
    expect(new Set(refused)).toEqual(new Set(["too many handshakes at a time"]));
    expect(refused.length).toBeGreaterThanOrEqual(20);
  });

  test.each([{ perSource: 0 }, { inAll: 0.5 }, { inAll: NaN }])(
    "a server whose limits of handshakes are %j does not start",
    async (handshakes) => {
      await using scene = await newScene();
      const tls = { ...filesOf(makeCertificates(scene.directory)), handshakes };
      const server = new TcpServer({ listen: LOOPBACK, tls, serve: () => undefined });
      await expect(server.start()).rejects.toThrow(/handshakes\.(perSource|inAll)/);
    },
  );
});
