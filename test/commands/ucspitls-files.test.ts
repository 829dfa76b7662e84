/**
 * s6-ucspitlsd and s6-ucspitlsc as shipped: keys, certificates and trust are those of the moment at which the
 * program asks for TLS (networking.md, section 16).
 */

import { once } from "node:events";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import type { Certificate } from "../support/certificates.ts";
import { bothWays, isRoot, newScene } from "../support/scene.ts";
import type { Scene, Way } from "../support/scene.ts";
import { childrenOf, engineOf, isBusy, statusOf, until } from "../tls/processes.ts";
import { afterHandshake, DialedTls } from "../support/tls-dial.ts";
import type { DialTlsOptions } from "../support/tls-dial.ts";
import { dial } from "../ucspi/dial.ts";
import type { Dialed } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** Says hello in clear, and asks for TLS as soon as it is told how. */
const SERVER = `
  echo hello
  read -r word
  echo ready
  printf %s "$word" >&$SSLCTLFD
  tr '\\0' '\\n' <&$SSLCTLFD >&2
  read -r line <&$SSLREADFD || { echo "no TLS" >&2; exit 4; }
  echo "secure $line" >&$SSLWRITEFD
  read -r line <&$SSLREADFD
`;

/** A server of `s6-ucspitlsd WORD... sh -c SERVER` with files that a scene may replace. */
async function start(
  scene: Scene,
  words: readonly string[],
  variables: Readonly<Record<string, string>> = {},
) {
  const certificates = makeCertificates(scene.directory);
  const env = { ...certificates.serverEnvironment, ...variables };
  const program = ["s6-ucspitlsd", ...words, "sh", "-c", SERVER];
  const server = await startServer(scene, "-v", program, { env });
  return { ...certificates, ...server };
}

/** A session whose program speaks in clear, and whose tunnel has read all files. */
async function begin(port: number, server: number, way: Way): Promise<Dialed> {
  const clear = await dial(port);
  expect(await clear.line()).toBe("hello");
  const engine = way === "fused" ? await engineOf(server) : 0;
  await until(() => (way === "fused" ? isBusy(engine) : tunnelOf(server) !== undefined));
  return clear;
}

/** The process of the one tunnel, which belongs to the program, once it waits for a command on descriptor 5. */
function tunnelOf(server: number): number | undefined {
  const [tunnel] = childrenOf(server).flatMap(childrenOf);
  return tunnel !== undefined && waitsOn(tunnel, 5) ? tunnel : undefined;
}

/** Its control socket is made nonblocking when everything else is there. */
function waitsOn(pid: number, fd: number): boolean {
  const [, flags = "0"] = /^flags:\s*(\d+)$/m.exec(infoOf(pid, fd)) ?? [];
  return (Number.parseInt(flags, 8) & 0o4000) !== 0;
}

function infoOf(pid: number, fd: number): string {
  try {
    return readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1");
  } catch {
    return ""; // it is not there yet, or gone
  }
}

async function askFor(clear: Dialed, command: string): Promise<void> {
  clear.write(`${command}\n`);
  expect(await clear.line()).toBe("ready");
}

/** Ask for TLS and go on in it. */
async function secure(clear: Dialed, options: DialTlsOptions = {}): Promise<DialedTls> {
  await askFor(clear, "Y");
  clear.socket.removeAllListeners("data");
  const { socket } = clear;
  const all = { socket, servername: "localhost", rejectUnauthorized: false, ...options };
  const client = new DialedTls(connect(all));
  await once(client.socket, "secureConnect");
  await afterHandshake();
  return client;
}

async function answerTo(clear: Dialed, options: DialTlsOptions = {}): Promise<string> {
  await using client = await secure(clear, options);
  client.end("there\n");
  return await client.rest();
}

async function shownTo(clear: Dialed): Promise<unknown> {
  await using client = await secure(clear);
  return client.socket.getPeerCertificate().subject.CN;
}

function clientPair(certificate: Certificate): DialTlsOptions {
  return { cert: certificate.chainPem, key: certificate.keyPem };
}

describe.concurrent("s6-ucspitlsd and files that change before the program asks for TLS", () => {
  for (const [demand, how, why] of [
    ["-y", "removed", "unable to read CAFILE .*: No such file or directory"],
    ["-Y", "emptied", "unable to use CAFILE .*"],
  ] as const) {
    bothWays(
      `a program under s6-ucspitlsd ${demand} gets no TLS once CAFILE is ${how}, and gets it when that is back`,
      async (newScene, way) => {
        await using scene = await newScene();
        const { port, process, root, client } = await start(scene, [demand]);
        await using refused = await begin(port, process.pid, way);
        if (how === "removed") rmSync(scene.path("ca.crt"));
        else scene.write("ca.crt", "");
        await askFor(refused, "Y");
        expect(await refused.rest()).toBe("");
        await process.lines(
          new RegExp(`^s6-tlsd-io: fatal: ${why}$`),
          /^no TLS$/,
          /^.* end pid \d+ exitcode 4 .*$/,
        );
        expect(process.output).not.toMatch(/^SSL_/m);
        scene.write("ca.crt", root.pem);
        await using served = await begin(port, process.pid, way);
        rmSync(scene.path("ca.crt"));
        scene.write("ca.crt", root.pem);
        expect(await answerTo(served, clientPair(client))).toBe("secure there\n");
      },
    );
  }

  bothWays(
    "a program under s6-ucspitlsd -y gets no TLS once CADIR is emptied",
    async (newScene, way) => {
      await using scene = await newScene({ files: { "authorities/": "" } });
      const CADIR = scene.path("authorities");
      newAuthority().write(scene.path("authorities/known"));
      const { port, process } = await start(scene, ["-y"], { CADIR });
      await using clear = await begin(port, process.pid, way);
      rmSync(scene.path("authorities/known.crt"));
      await askFor(clear, "y");
      expect(await clear.rest()).toBe("");
      await process.lines(/^s6-tlsd-io: fatal: .*CADIR .*$/, /^no TLS$/);
    },
  );

  bothWays(
    "a client of s6-ucspitlsd -y is trusted by the CAFILE of when the program asks for TLS",
    async (newScene, way) => {
      await using scene = await newScene();
      const { port, process, client } = await start(scene, ["-y"]);
      const other = newAuthority();
      await using first = await begin(port, process.pid, way);
      scene.write("ca.crt", other.pem);
      expect(await answerTo(first, clientPair(client)).catch(() => "")).toBe("");
      await process.lines(
        /^s6-tlsd-io: fatal: .* during the handshake: .*$/,
        /^.* end pid \d+ exitcode 4 .*$/,
      );
      scene.write("ca.crt", newAuthority().pem);
      await using second = await begin(port, process.pid, way);
      scene.write("ca.crt", other.pem);
      const known = clientPair(other.issue({ subject: "client" }));
      expect(await answerTo(second, known)).toBe("secure there\n");
    },
  );

  bothWays(
    "s6-ucspitlsd shows the certificate of when the program asks for TLS, and the last one that was whole",
    async (newScene, way) => {
      await using scene = await newScene();
      const { port, process, root } = await start(scene, []);
      await using first = await begin(port, process.pid, way);
      root.issue({ subject: "second" }).write(scene.path("server"));
      expect(await shownTo(first)).toBe("second");
      await process.line(/ end pid \d+ /);
      await using second = await begin(port, process.pid, way);
      scene.write("server.key", root.issue().keyPem);
      expect(await shownTo(second)).toBe("second");
      await process.line(
        /^s6-tlsd-io: warning: .*its key is not that of .*; the files read before stay in use$/,
      );
    },
  );

  test.skipIf(!isRoot)(
    "a tunnel of s6-ucspitlsd with TLS_UID reads files that only root can read, and takes on its identity before the handshake (needs root)",
    async () => {
      await using scene = await newScene({ way: "exec" });
      const variables = { TLS_UID: "31337", TLS_GID: "31338" };
      const { port, process, root, client } = await start(scene, ["-y"], variables);
      await using clear = await begin(port, process.pid, "exec");
      const tunnel = tunnelOf(process.pid) ?? 0;
      root.issue({ subject: "second" }).write(scene.path("server"));
      for (const name of ["server.key", "ca.crt"]) chmodSync(scene.path(name), 0o600);
      await using secured = await secure(clear, clientPair(client));
      expect(secured.socket.getPeerCertificate().subject.CN).toBe("second");
      secured.write("there\n");
      expect(await secured.line()).toBe("secure there");
      expect(new Set(statusOf(tunnel, "Uid"))).toEqual(new Set(["31337 31337 31337 31337"]));
      expect(new Set(statusOf(tunnel, "Groups"))).toEqual(new Set([""]));
    },
  );
});

describe.concurrent("s6-ucspitlsd and a server that does not answer its engine", () => {
  test("the time limit of a handshake is counted from the request, while the server is stopped, too", async () => {
    await using scene = await newScene();
    const { port, process } = await start(scene, ["-K", "500"]);
    await using clear = await begin(port, process.pid, "fused");
    process.signal("SIGSTOP");
    await askFor(clear, "Y");
    expect(await clear.rest()).toBe("");
    await process.lines(/^s6-tlsd-io: fatal: handshake timed out$/, /^no TLS$/);
    process.signal("SIGCONT");
    await using next = await begin(port, process.pid, "fused");
    expect(await answerTo(next)).toBe("secure there\n");
    expect(process.output).not.toMatch(/ucspi-tls-engine/);
  });

  test("a program whose server has ended gets TLS where nobody has to be trusted", async () => {
    await using scene = await newScene();
    const { port, process } = await start(scene, []);
    await using clear = await begin(port, process.pid, "fused");
    process.signal("SIGKILL");
    await process.ended();
    expect(await answerTo(clear)).toBe("secure there\n");
  });

  test("a program whose server has ended, or ends before it answers, gets no TLS where clients have to be trusted", async () => {
    await using scene = await newScene();
    const { port, process, client } = await start(scene, ["-y"]);
    await using asking = await begin(port, process.pid, "fused");
    await using late = await begin(port, process.pid, "fused");
    process.signal("SIGSTOP");
    await askFor(asking, "Y");
    process.signal("SIGKILL");
    await expect(asking.rest()).resolves.toBe("");
    await expect(answerTo(late, clientPair(client))).rejects.toThrow();
    const line =
      /^s6-tlsd-io: fatal: unable to read CADIR or CAFILE again: the server has ended$/gm;
    await until(() => process.output.match(line)?.length === 2);
  });
});

describe.concurrent(
  "s6-ucspitlsc and a CAFILE that changes before the program asks for TLS",
  () => {
    const CLIENT = `
    read -r hello <&6
    until [ -e "$0" ]; do sleep 0.02; done
    echo Y >&7
    read -r ready <&6
    printf Y >&$SSLCTLFD
    tr '\\0' '\\n' <&$SSLCTLFD
    echo there >&$SSLWRITEFD
    read -r answer <&$SSLREADFD || answer="no TLS"
    echo "$answer"`;

    for (const [how, replace, why] of [
      [
        "removed",
        undefined,
        /^s6-tlsc-io: fatal: unable to read CAFILE .*: No such file or directory$/m,
      ],
      ["replaced", newAuthority().pem, /^s6-tlsc-io: fatal: .* during the handshake: .*$/],
    ] as const) {
      bothWays(
        `a program under s6-ucspitlsc gets no TLS from a server whose authority was ${how}`,
        async (newScene) => {
          await using scene = await newScene();
          const { port } = await start(scene, []);
          // The shell writes its own messages in pieces, between which another line may come.
          const program = [
            "sh",
            "-c",
            `trap '' PIPE; exec 2>/dev/null; ${CLIENT}`,
            scene.path("go"),
          ];
          const words = ["127.0.0.1", String(port), "s6-ucspitlsc", "-k", "localhost", ...program];
          const client = scene.start("s6-tcpclient", words, {
            env: { CAFILE: scene.path("ca.crt") },
          });
          await until(() => childrenOf(client.pid).some((pid) => waitsOn(pid, 3)));
          if (replace === undefined) rmSync(scene.path("ca.crt"));
          else scene.write("ca.crt", replace);
          scene.write("go", "");
          await client.lines(/^no TLS$/, why);
          expect(client.output).not.toMatch(/SSL_PEER/);
        },
      );
    }
  },
);
