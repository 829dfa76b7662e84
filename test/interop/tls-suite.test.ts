/** Our s6-tlsd and s6-tlsc with those of the C suite at the other end, in both of its builds. */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { BIN } from "../support/scene.ts";
import type { Run } from "../support/scene.ts";
import { startServer } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";
import { BUILDS } from "./support.ts";
import { newTlsScene } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

/** The exit code of a handshake that failed; of the original on libtls, the second. */
const TLS_FAILED = 98;
const ENGINE_FAILED = 97;

const MEGABYTE = 1_000_000;

const SHOW = "env | grep -E '^SSL_(PROTOCOL|CIPHER|TLS|PEER)' | sort";

interface Ends {
  /** The directories of the commands of the server, and of the client. */
  readonly server: string;
  readonly client: string;
}

/** Our super-server with an s6-tlsd of either suite. */
function serve(
  { scene, pki }: TlsScene,
  { server }: Ends,
  options: readonly string[],
  script: string,
): Promise<StartedServer> {
  const program = [join(server, "s6-tlsd"), ...options, "sh", "-c", script];
  const PATH = `${server}:${BIN}:${process.env["PATH"] ?? ""}`;
  return startServer(scene, "", program, { env: { ...pki.serverEnvironment, PATH } });
}

/** Our s6-tcpclient with an s6-tlsc of either suite. */
function visit(
  { scene, pki }: TlsScene,
  { client }: Ends,
  port: number,
  options: readonly string[],
  script: string,
): Promise<Run> {
  const tlsc = [join(client, "s6-tlsc"), "-K", "10000", ...options, "sh", "-c", script];
  const PATH = `${client}:${BIN}:${process.env["PATH"] ?? ""}`;
  const env = { ...pki.clientEnvironment, PATH };
  return scene.run("s6-tcpclient", ["-H", "127.0.0.1", String(port), ...tlsc], { env });
}

describe.each(BUILDS.map((build) => ({ build, title: `${build.name}${build.why}` })))(
  "the C suite on $title",
  ({ build }) => {
    const isLibtls = build.name === "libtls";
    const version = isLibtls ? "TLSv1.3" : "TLSv1.2";
    const subject = isLibtls ? "/CN" : "CN";
    // The original leaves bytes in libtls when its own 16 KiB are full, and waits for more from the network.
    const much = isLibtls ? 16_000 : MEGABYTE;
    // As a server it drops what it has not sent when its program leaves, and it has no half-close.
    const closing = (directory: string) =>
      isLibtls && directory !== BIN ? " (skipped: the original on libtls cannot)" : "";
    const pairs = [
      { ours: "s6-tlsd", server: BIN, client: build.directory },
      { ours: "s6-tlsc", server: build.directory, client: BIN },
    ];

    describe.skipIf(build.why !== "").each(pairs)("with our $ours", (ends) => {
      test("each side passes the other's variables to its program", async () => {
        await using ground = await newTlsScene();
        const { port } = await serve(ground, ends, ["-y"], `${SHOW}; echo .; cat >/dev/null`);
        const script = `${SHOW}; while read line <&6 && [ "$line" != . ]; do echo "$line"; done`;
        const run = await visit(ground, ends, port, ["-y", "-k", "localhost"], script);
        const told = (who: string, sha256: string, directory: string, names: string) => [
          `SSL_PEER_CERT_HASH=SHA256:${sha256}`,
          ...(directory === BIN ? [`SSL_PEER_CERT_SAN=${names}`] : []),
          `SSL_PEER_CERT_SUBJECT=${directory === BIN ? "CN" : subject}=${who}`,
          `SSL_PROTOCOL=${version}`,
          "SSL_TLS_SNI_SERVERNAME=localhost",
        ];
        const { server, client } = ground.pki;
        const names = "dns:localhost ip:127.0.0.1 ip:::1";
        const lines = run.exits(EXIT.ok).stdout.split("\n").slice(0, -1);
        const ciphers = lines.filter((line) => line.startsWith("SSL_CIPHER="));
        expect(lines.filter((line) => !line.startsWith("SSL_CIPHER="))).toEqual([
          ...told("localhost", server.sha256, ends.client, names),
          ...told("client", client.sha256, ends.server, ""),
        ]);
        expect(ciphers).toHaveLength(2);
        expect(new Set(ciphers).size).toBe(1);
      });

      test.each([{ options: [] }, { options: ["-S"] }, { options: ["-S", "-J"] }])(
        "bytes are relayed both ways at a time, with $options",
        async ({ options }) => {
          await using ground = await newTlsScene();
          const { port } = await serve(ground, ends, options, "exec cat");
          const script = `head -c ${much} /dev/urandom >sent; cat sent >&7 & head -c ${much} <&6`;
          const run = await visit(ground, ends, port, options, script);
          expect(run.exits(EXIT.ok).stdoutBytes.equals(ground.scene.readBytes("sent"))).toBe(true);
        },
      );

      test.skipIf(isLibtls && ends.server !== BIN)(
        `all bytes arrive when the program of the server exits at once${closing(ends.server)}`,
        async () => {
          await using ground = await newTlsScene();
          const { port } = await serve(ground, ends, ["-S"], `head -c ${MEGABYTE} /dev/zero`);
          const run = await visit(ground, ends, port, ["-J"], "wc -c <&6");
          run.exits(EXIT.ok).stdoutIs("1000000\n");
        },
      );

      test.skipIf(isLibtls)(
        `a client that has half-closed still gets its answer${closing(build.directory)}`,
        async () => {
          await using ground = await newTlsScene();
          const { port } = await serve(ground, ends, [], "wc -c");
          const script = `head -c ${MEGABYTE} /dev/zero >&7; exec 7>&-; cat <&6`;
          const run = await visit(ground, ends, port, [], script);
          run.exits(EXIT.ok).stdoutIs("1000000\n").stderrIs("");
        },
      );

      test("a client that expects another name closes the connection", async () => {
        await using ground = await newTlsScene();
        const { port } = await serve(ground, ends, [], "cat");
        const run = await visit(ground, ends, port, ["-k", "example.com"], "touch ran");
        run.exits(isLibtls && ends.client !== BIN ? ENGINE_FAILED : TLS_FAILED);
        run.stderrMatches(/^s6-tlsc-io: fatal: /m);
        expect(ground.scene.has("ran")).toBe(false);
      });

      test("a client without a certificate is refused", async () => {
        await using ground = await newTlsScene();
        const { process, port } = await serve(ground, ends, ["-y"], "touch ran");
        await visit(ground, ends, port, [], "cat <&6");
        await process.line(/^s6-tlsd-io: fatal: /);
        expect(ground.scene.has("ran")).toBe(false);
      });
    });
  },
);
