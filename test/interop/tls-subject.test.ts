/** The subjects of test/tls/material/subjects.ts, as the s6-tlsc of the C suite tells its program. */

import { once } from "node:events";
import { createServer } from "node:tls";
import type { Server } from "node:tls";
import { describe, expect, test } from "vitest";
import { newSelfSigned } from "../support/certificates.ts";
import { newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { SUBJECTS } from "../tls/material/subjects.ts";
import { original, startOf, withoutSuite } from "./support.ts";

/** The output of a program of the C suite for a server with this certificate. */
async function told(scene: Scene, server: Server, CAFILE: string): Promise<string> {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? String(address.port) : "";
  const script = "env -0 | grep -az ^SSL_PEER_CERT | sort -z";
  const words = ["-H", "127.0.0.1", port, original("s6-tlsc").path, "/bin/sh", "-c", script];
  const run = await startOf("C", scene, "s6-tcpclient", words, { env: { CAFILE } }).finished();
  return run.exits(0).stdout;
}

describe.skipIf(withoutSuite !== "")(`the subject of a certificate${withoutSuite}`, () => {
  test.each(SUBJECTS)(
    "the subject of a certificate is written as in the C suite: $title",
    async ({ subject, text }) => {
      await using scene = await newScene();
      const certificate = newSelfSigned({ subject });
      const pair = { cert: certificate.pem, key: certificate.keyPem };
      const server = createServer({ ...pair, maxVersion: "TLSv1.2" }, (socket) => {
        socket.on("error", () => {});
        socket.resume(); // the client ends; ending first, it might not even start its program
      });
      server.on("tlsClientError", () => {});
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const said = await told(scene, server, certificate.write(scene.path("anchor")).certFile);
      server.close();

      const hash = `SSL_PEER_CERT_HASH=SHA256:${certificate.sha256}\0`;
      expect(said).toBe(text === undefined ? hash : `${hash}SSL_PEER_CERT_SUBJECT=${text}\0`);
    },
  );
});
