/** s6-tlsd: new certificates without a restart, and sessions that are resumed. */

import { rmSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import type { Certificate } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askTls, dialTls } from "../support/tls-dial.ts";
import type { DialTlsOptions } from "../support/tls-dial.ts";
import { dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** A server of `s6-tlsd OPTION... PROGRAM...` with files that every scene may replace. */
async function start(scene: Scene, words: readonly string[]) {
  const certificates = makeCertificates(scene.directory);
  const env = certificates.serverEnvironment;
  const server = await startServer(scene, "-v", ["s6-tlsd", ...words], { env });
  return { ...certificates, ...server };
}

/** The CN of the certificate that a client is shown. */
async function shown(port: number, options: DialTlsOptions = {}): Promise<unknown> {
  await using client = await dialTls(port, options);
  return client.socket.getPeerCertificate().subject.CN;
}

function clientPair(certificate: Certificate): DialTlsOptions {
  return { cert: certificate.chainPem, key: certificate.keyPem };
}

/** A connection's first line, and the session to resume later. */
async function meet(port: number, options: DialTlsOptions) {
  await using client = await dialTls(port, options);
  const line = await client.line();
  return {
    line,
    session: client.socket.getSession(),
    isResumed: client.socket.isSessionReused(),
  };
}

describe.concurrent("files that change, and sessions", () => {
  bothWays(
    "a new pair is used from the next handshake on, and no connection is cut off",
    async (newScene) => {
      await using scene = await newScene();
      const { port, root } = await start(scene, ["cat"]);
      await using before = await dialTls(port);
      root.issue({ subject: "second", key: "rsa" }).write(scene.path("server"));
      expect(await shown(port)).toBe("second");
      before.write("still here\n");
      expect(await before.line()).toBe("still here");
      newAuthority().issue({ subject: "third" }).write(scene.path("server"));
      expect(await shown(port)).toBe("third");
    },
  );

  test("an unusable pair of key and certificate leaves the old one in use, and is reported once", async () => {
    await using scene = await newScene();
    const { port, process, root } = await start(scene, ["cat"]);
    const second = root.issue({ subject: "second" });
    const stays = "the files read before stay in use";
    const [certificate, key] = ["server.crt", "server.key"].map((name) => scene.path(name));

    scene.write("server.key", second.keyPem);
    for (let times = 0; times < 2; times += 1) expect(await shown(port)).toBe("localhost");
    await process.line(
      new RegExp(
        `^s6-tlsd-io: warning: unable to use CERTFILE ${certificate}: its key is not that of KEYFILE ${key}; ${stays}$`,
      ),
    );
    scene.write("server.crt", second.pem.slice(0, 100));
    expect(await shown(port)).toBe("localhost");
    await process.line(new RegExp(`^s6-tlsd-io: warning: unable to use CERTFILE .*; ${stays}$`));
    rmSync(scene.path("server.crt"));
    expect(await shown(port)).toBe("localhost");
    await process.line(
      new RegExp(`: warning: unable to read CERTFILE .*: No such file or directory; ${stays}$`),
    );
    scene.write("server.crt", second.pem);
    expect(await shown(port)).toBe("second");
    expect(process.output.match(/its key is not that of/g)).toHaveLength(1);
  });

  test("a changed pair that is unusable fails each connection, with the reason, where each connection reads its own", async () => {
    await using scene = await newScene({ way: "exec" });
    const { port, process, root } = await start(scene, ["cat"]);
    scene.write("server.key", root.issue().keyPem);
    await expect(shown(port)).rejects.toThrow();
    await process.line(/^s6-tlsd-io: fatal: unable to use CERTFILE .*: its key is not that of /);
    await process.line(/ end pid \d+ exitcode 96 /);
  });

  bothWays(
    "a change of CAFILE applies to the trust in clients of the next handshake",
    async (newScene) => {
      await using scene = await newScene();
      const { port, client } = await start(scene, ["-y", "echo", "hello"]);
      const other = newAuthority();
      const [known, unknown] = [client, other.issue({ subject: "client" })].map(clientPair);
      expect(await askTls(port, "", known)).toBe("hello\n");
      expect(await askTls(port, "", unknown)).toBe("");
      scene.write("ca.crt", other.pem);
      expect(await askTls(port, "", unknown)).toBe("hello\n");
      expect(await askTls(port, "", known)).toBe("");
    },
  );

  bothWays("an authority that is put into CADIR is trusted at once", async (newScene) => {
    await using scene = await newScene({ files: { "authorities/": "" } });
    const { client, root, serverEnvironment } = makeCertificates(scene.directory);
    root.write(scene.path("authorities/known"));
    const env = { ...serverEnvironment, CADIR: scene.path("authorities") };
    const { port } = await startServer(scene, "", ["s6-tlsd", "-y", "echo", "hello"], { env });
    const other = newAuthority();
    expect(await askTls(port, "", clientPair(client))).toBe("hello\n");
    other.write(scene.path("authorities/other"));
    expect(await askTls(port, "", clientPair(other.issue()))).toBe("hello\n");
  });

  for (const demand of ["-y", "-Y"]) {
    bothWays(
      `a client of ${demand} is refused as soon as CAFILE is emptied or gone, and no longer than that`,
      async (newScene) => {
        await using scene = await newScene();
        const { port, process, client, root } = await start(scene, [demand, "echo", "hello"]);
        const options = clientPair(client);
        const served = () => askTls(port, "", options).catch(() => "");
        expect(await served()).toBe("hello\n");
        scene.write("ca.crt", "");
        expect(await served()).toBe("");
        await process.line(/^s6-tlsd-io: fatal: unable to use CAFILE /);
        rmSync(scene.path("ca.crt"));
        expect(await served()).toBe("");
        await process.line(
          /^s6-tlsd-io: fatal: unable to read CAFILE .*: No such file or directory$/,
        );
        await process.line(/ end pid \d+ exitcode 96 /);
        scene.write("ca.crt", root.pem);
        expect(await served()).toBe("hello\n");
      },
    );
  }

  test.each(["-y", "-Y"])(
    "a client of %s whose connection began before its authority was withdrawn is refused after the handshake",
    async (demand) => {
      await using scene = await newScene();
      const { port, process, client, root } = await start(scene, [demand, "echo", "hello"]);
      const [other, third] = [newAuthority(), newAuthority()];
      // The first of two connections is known to be accepted once the second has been served.
      const lateAnswer = async (change: () => void) => {
        const early = await dial(port);
        await askTls(port, "", clientPair(client));
        change();
        return askTls(port, "", { ...clientPair(client), socket: early.socket }).catch(() => "");
      };
      expect(await lateAnswer(() => scene.write("ca.crt", root.pem + other.pem))).toBe("hello\n");
      expect(await lateAnswer(() => scene.write("ca.crt", other.pem + third.pem))).toBe("");
      await process.line(
        /^s6-tlsd-io: fatal: an authority was withdrawn since the connection began/,
      );
      scene.write("ca.crt", root.pem);
      expect(await lateAnswer(() => rmSync(scene.path("ca.crt")))).toBe("");
      await process.line(/^s6-tlsd-io: fatal: unable to read CAFILE /);
      await process.line(/ end pid \d+ exitcode 96 /);
    },
  );

  bothWays(
    "no client is trusted once CADIR is emptied, or its last link leads nowhere",
    async (newScene) => {
      await using scene = await newScene({ files: { "authorities/": "" } });
      const { client, root, serverEnvironment } = makeCertificates(scene.directory);
      root.write(scene.path("known"));
      symlinkSync("../known.crt", scene.path("authorities/0a1b2c3d.0"));
      const env = { ...serverEnvironment, CADIR: scene.path("authorities") };
      const { port } = await startServer(scene, "", ["s6-tlsd", "-y", "echo", "hello"], { env });
      const served = () => askTls(port, "", clientPair(client)).catch(() => "");
      expect(await served()).toBe("hello\n");
      rmSync(scene.path("known.crt"));
      expect(await served()).toBe("");
      root.write(scene.path("known"));
      expect(await served()).toBe("hello\n");
      rmSync(scene.path("authorities/0a1b2c3d.0"));
      expect(await served()).toBe("");
    },
  );

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a session of %s is not resumed once CAFILE is gone, and the log says so once and for each connection",
    async (maxVersion) => {
      await using scene = await newScene();
      const { port, process, client } = await start(scene, ["-y", "echo", "hello"]);
      const options = { ...clientPair(client), maxVersion };
      const { session } = await meet(port, options);
      rmSync(scene.path("ca.crt"));
      for (let times = 0; times < 2; times += 1) {
        expect(await askTls(port, "", { ...options, session }).catch(() => "")).toBe("");
        await process.line(/^s6-tlsd-io: fatal: unable to read CAFILE /);
      }
      const warning =
        /^s6-tlsd-io: warning: unable to read CAFILE .*; connections are refused until that can be used$/gm;
      expect(process.output.match(warning)).toHaveLength(1);
    },
  );

  test("a certificate that has expired is served with a warning", async () => {
    await using scene = await newScene();
    const { root, serverEnvironment: env } = makeCertificates(scene.directory);
    root.issue({ notAfter: new Date(Date.now() - 1000) }).write(scene.path("server"));
    const { port, process } = await startServer(scene, "", ["s6-tlsd", "echo", "hello"], { env });
    expect(await askTls(port)).toBe("hello\n");
    expect(process.output).toMatch(/^s6-tlsd-io: warning: certificate \S+ has expired on /m);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("sessions of %s are resumed", async (maxVersion) => {
    await using scene = await newScene();
    const program = ["sh", "-c", "echo $SSL_PEER_CERT_HASH; exec cat"];
    const { port, client } = await start(scene, ["-y", ...program]);
    const options = { ...clientPair(client), maxVersion };
    const first = await meet(port, options);
    expect(first).toMatchObject({ line: `SHA256:${client.sha256}`, isResumed: false });
    const second = await meet(port, { ...options, session: first.session });
    expect(second).toMatchObject({ line: first.line, isResumed: true });
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a session of %s lasts no longer than the trust in its client",
    async (maxVersion) => {
      await using scene = await newScene();
      const { port, client } = await start(scene, ["-y", "echo", "hello"]);
      const options = { ...clientPair(client), maxVersion };
      const { line, session } = await meet(port, options);
      expect(line).toBe("hello");
      scene.write("ca.crt", newAuthority().pem);
      expect(await askTls(port, "", { ...options, session }).catch(() => "")).toBe("");
    },
  );
});
