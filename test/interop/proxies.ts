/** Proxies of other people, in front of our servers or behind our clients. */

import { existsSync } from "node:fs";
import { expect } from "vitest";
import { peer } from "../support/scene.ts";
import type { Peer, Scene } from "../support/scene.ts";
import { dial } from "../ucspi/dial.ts";

/** The path of the stream module of nginx in Debian, which other builds of nginx contain. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

export const haproxy = peer("haproxy");
export const nginx = withStreams(peer("nginx"));
export const stunnel = peer("stunnel4");
export const openssl = peer("openssl");

/** nginx alone has no streams. */
function withStreams(found: Peer): Peer {
  if (found.isMissing || existsSync(STREAM_MODULE)) return found;
  return { ...found, isMissing: true, why: " (skipped: nginx has no stream module)" };
}

/** An HAProxy with this section behind the usual defaults; resolves once `port` is served. */
export async function startHaproxy(scene: Scene, port: number, section: string): Promise<void> {
  const timeouts = "timeout connect 10s\n timeout client 30s\n timeout server 30s";
  scene.write("haproxy.cfg", `global\n maxconn 100\ndefaults\n ${timeouts}\n${section}\n`);
  scene.execute(haproxy.path, ["-db", "-q", "-f", scene.path("haproxy.cfg")]);
  await untilServed(port);
}

/** An nginx with these stream servers; resolves once `port` is served. */
export async function startNginx(scene: Scene, port: number, servers: string): Promise<void> {
  const head = `load_module ${STREAM_MODULE};\ndaemon off;\nmaster_process off;\n`;
  const files = `pid ${scene.path("nginx.pid")};\nerror_log stderr;\n`;
  scene.write("nginx.conf", `${head}${files}events {}\nstream { ${servers} }\n`);
  scene.execute(nginx.path, ["-e", "stderr", "-c", scene.path("nginx.conf")]);
  await untilServed(port);
}

/** A stunnel that takes TLS on `port`, announces its clients and sends them to `backend`. */
export async function startStunnel(scene: Scene, port: number, backend: number): Promise<void> {
  const service = `[s]\naccept = 127.0.0.1:${port}\nconnect = 127.0.0.1:${backend}\n`;
  const head = "foreground = yes\npid =\n";
  const certificate = `cert = ${scene.path("server.pem")}\nprotocol = proxy\n`;
  scene.write("stunnel.conf", head + service + certificate);
  scene.execute(stunnel.path, [scene.path("stunnel.conf")]);
  await untilServed(port);
}

async function untilServed(port: number): Promise<void> {
  await expect
    .poll(
      async () => {
        try {
          await using _ = await dial(port);
          return true;
        } catch {
          return false; // not yet
        }
      },
      { timeout: 20_000 },
    )
    .toBe(true);
}

/**
 * Certificates in the scene: `ca.pem`, and by it `server.pem` for www.example.com and `client.pem` with the
 * common name joe, each with its key.
 */
export async function makeCertificates(scene: Scene): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const run = async (...words: readonly string[]): Promise<void> => {
    (await scene.execute(openssl.path, words).finished()).exits(0);
  };
  const files = (name: string): string[] => ["-keyout", `${name}.key`, "-out", `${name}.crt`];
  await run("req", "-x509", ...key, ...files("ca"), "-subj", "/CN=ca", "-days", "2");
  scene.write("ca.pem", scene.read("ca.crt"));
  for (const [name, subject] of [
    ["server", "/CN=www.example.com"],
    ["client", "/C=US/O=Example/CN=joe"],
  ] as const) {
    const ca = ["-CA", "ca.crt", "-CAkey", "ca.key"];
    await run("req", "-x509", ...ca, ...key, ...files(name), "-subj", subject, "-days", "2");
    scene.write(`${name}.pem`, scene.read(`${name}.crt`) + scene.read(`${name}.key`));
  }
}
