/**
 * Sessions of TLS for one name: nginx and HAProxy as clients that resume, which have one session for all the
 * connections to a server, and OpenSSL with a session that was made for another name.
 */

import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { TcpServer } from "../../src/index.ts";
import { newAuthority } from "../support/certificates.ts";
import { peer } from "../support/scene.ts";
import type { Run } from "../support/scene.ts";
import { dial } from "../ucspi/dial.ts";
import { haproxy, nginx, startHaproxy, startNginx } from "./proxies.ts";
import { newTlsScene, startTlsServer, teller } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
type Version = (typeof VERSIONS)[number];
const openssl = peer("openssl");
const curl = peer("curl");
const NAME = "SSL_TLS_SNI_SERVERNAME";

/** A server that tells each client its name and whether its session was resumed. */
async function startLibraryServer({ pki }: TlsScene): Promise<TcpServer & { port: number }> {
  const { CERTFILE: certificate, KEYFILE: key } = pki.serverEnvironment;
  const server = new TcpServer({
    listen: { host: "127.0.0.1", port: 0 },
    tls: { certificate, key },
    serve({ stream, tls }) {
      const isResumed = (stream as TLSSocket).isSessionReused();
      stream.end(`${tls?.serverName} ${isResumed ? "resumed" : "new"}\n`);
    },
  });
  const [{ port } = { port: 0 }] = await server.start();
  return Object.assign(server, { port });
}

function sClient(
  { scene }: TlsScene,
  port: number,
  version: Version,
  words: readonly string[],
): Promise<Run> {
  const to = ["-connect", `127.0.0.1:${port}`, flagOf(version), "-ign_eof"];
  return scene.execute(openssl.path, ["s_client", ...to, ...words], { input: "" }).finished();
}

function flagOf(version: Version): string {
  return version === "TLSv1.2" ? "-tls1_2" : "-tls1_3";
}

async function ask(port: number): Promise<string> {
  await using client = await dial(port);
  return await client.rest();
}

/** Two doors to one server behind a proxy, which asks for another name at each. */
type StartProxy = (
  ground: TlsScene,
  doors: readonly [number, number],
  backend: number,
  version: Version,
) => Promise<void>;

const NAMES = ["a.example.org", "b.example.org"] as const;

const startNginxDoors: StartProxy = async ({ scene }, doors, backend, version) => {
  const settings = `proxy_ssl on; proxy_ssl_server_name on; proxy_ssl_protocols ${version};`;
  const servers = doors.map(
    (port, at) =>
      `server { listen 127.0.0.1:${port}; ${settings} proxy_ssl_name ${NAMES[at]}; proxy_pass backend; }`,
  );
  const upstream = `upstream backend { server 127.0.0.1:${backend}; }`;
  await startNginx(scene, doors[0], `${upstream} ${servers.join(" ")}`);
};

const startHaproxyDoors: StartProxy = async ({ scene }, doors, backend, version) => {
  const names = doors.map((port, at) => `use-server s${at} if { dst_port ${port} }`);
  const force = version === "TLSv1.2" ? "force-tlsv12" : "force-tlsv13";
  const servers = NAMES.map(
    (name, at) => ` server s${at} 127.0.0.1:${backend} ssl verify none ${force} sni str(${name})`,
  );
  const binds = doors.map((port) => ` bind 127.0.0.1:${port}`);
  const section = [
    "listen l",
    " mode tcp",
    ...binds,
    ...names.map((line) => ` ${line}`),
    ...servers,
  ];
  await startHaproxy(scene, doors[0], section.join("\n"));
};

describe.each([
  ["nginx", nginx, startNginxDoors],
  ["HAProxy", haproxy, startHaproxyDoors],
] as const)("%s as a client", (title, { isMissing, why }, start) => {
  test.skipIf(isMissing).each(VERSIONS)(
    `${title} resumes sessions of %s, each for its name, which a function is told${why}`,
    async (version) => {
      await using ground = await newTlsScene();
      await using server = await startLibraryServer(ground);
      const doors = [await ground.scene.freePort(), await ground.scene.freePort()] as const;
      await start(ground, doors, server.port, version);
      for (const [at, name] of NAMES.entries()) {
        const answers: string[] = [];
        for (let times = 0; times < 4; times += 1) answers.push(await ask(doors[at] ?? 0));
        const [first, ...others] = answers;
        expect(first).toBe(`${name} new\n`);
        for (const other of others) expect([`${name} resumed\n`, `${name} new\n`]).toContain(other);
        // Either keeps a session for each of its threads, and nginx none of TLS 1.3.
        if (version === "TLSv1.2") expect(others).toContain(`${name} resumed\n`);
      }
    },
  );

  test.skipIf(isMissing)(
    `${title} is told its name from the second connection on, too, by a program${why}`,
    async () => {
      await using ground = await newTlsScene();
      const { port } = await startTlsServer(ground, "", teller("SSL_PROTOCOL", NAME));
      const doors = [await ground.scene.freePort(), await ground.scene.freePort()] as const;
      await start(ground, doors, port, "TLSv1.2");
      for (const at of [0, 0, 1, 0, 1] as const) {
        expect(await ask(doors[at])).toBe(`SSL_PROTOCOL=TLSv1.2\n${NAME}=${NAMES[at]}\n`);
      }
    },
  );
});

describe.skipIf(openssl.isMissing).each(VERSIONS)(
  `openssl s_client with a session of %s${openssl.why}`,
  (version) => {
    const client = (ground: TlsScene, port: number, words: readonly string[]): Promise<Run> =>
      sClient(ground, port, version, words);

    test("openssl s_client resumes for the name of the session, and for no other or none", async () => {
      await using ground = await newTlsScene();
      const { port } = await startTlsServer(ground, "-S", teller(NAME));
      const asked = ["-servername", "a.example.org"];
      const meet = (words: readonly string[]) => client(ground, port, words);
      (await meet([...asked, "-sess_out", "session"])).stdoutMatches(/^New, /m);
      for (const [words, said, name] of [
        [asked, "Reused", "a.example.org"],
        [["-servername", "b.example.org"], "New", "b.example.org"],
        [["-noservername"], "New", "unset"],
        [asked, "Reused", "a.example.org"],
      ] as const) {
        const run = await meet([...words, "-sess_in", "session"]);
        run.stdoutMatches(new RegExp(`^${said}, `, "m"));
        run.stdoutMatches(new RegExp(`^${NAME}=${name}$`, "m"));
      }
    });

    test("openssl s_client does not pass by a demand for names with a session, and the log says why", async () => {
      await using ground = await newTlsScene();
      const pair = newAuthority().issue({ names: ["dns:a.example.org"] });
      const { certFile, keyFile } = pair.write(ground.scene.path("named"));
      const env = { "KEYFILE:a.example.org": keyFile, "CERTFILE:a.example.org": certFile };
      const { port, process } = await startTlsServer(ground, "-S -k 2", teller(NAME), { env });
      const asked = ["-servername", "a.example.org"];
      await client(ground, port, [...asked, "-sess_out", "session"]);
      const again = await client(ground, port, [...asked, "-sess_in", "session"]);
      again.stdoutMatches(/^Reused, /m).stdoutMatches(new RegExp(`^${NAME}=a.example.org$`, "m"));
      for (const [words, name] of [
        [["-servername", "b.example.org"], "b.example.org"],
        [["-noservername"], "a client that asks for no name"],
      ] as const) {
        const refused = await client(ground, port, [...words, "-sess_in", "session"]);
        expect(refused.stdout).not.toContain(NAME);
        await process.line(
          new RegExp(`during the handshake: there is no certificate for ${name}$`),
        );
      }
    });
  },
);

test.skipIf(openssl.isMissing)(
  `openssl s_client without tickets does not resume a session of TLS 1.2${openssl.why}`,
  async () => {
    await using ground = await newTlsScene();
    const { port } = await startTlsServer(ground, "-S", teller(NAME));
    const words = ["-no_ticket", "-servername", "a.example.org"];
    await sClient(ground, port, "TLSv1.2", [...words, "-sess_out", "session"]);
    const run = await sClient(ground, port, "TLSv1.2", [...words, "-sess_in", "session"]);
    run.stdoutMatches(/^New, /m);
  },
);

test.skipIf(curl.isMissing).each(["1.2", "1.3"])(
  `curl resumes a session of TLS %s for its name within a run${curl.why}`,
  async (version) => {
    await using ground = await newTlsScene();
    const answer = `printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; echo $${NAME}`;
    const { port } = await startTlsServer(ground, "-S", ["sh", "-c", `read -r line; ${answer}`]);
    const url = (name: string): string => `https://${name}:${port}/`;
    const names = ["a.example.org", "a.example.org", "b.example.org"];
    const to = ["--connect-to", "::127.0.0.1:", "-sk", "--tlsv1.2", `--tls-max`, version];
    const run = await ground.scene.execute(curl.path, [...to, ...names.map(url)]).finished();
    run.stdoutIs(`${names.join("\n")}\n`);
  },
);
