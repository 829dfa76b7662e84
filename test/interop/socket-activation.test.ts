/**
 * Socket activation with commands of both suites: binder, store, holder, retrieve and server, each ours or
 * the C suite's, in all combinations; and daemons that know nothing of it, on held sockets.
 */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BIN, findProgram, newScene, peer } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";
import { startHolder } from "../support/fd-holder.ts";
import { Activation, FAMILIES, Waiting } from "../support/socket-activation.ts";
import type { Family } from "../support/socket-activation.ts";
import { dial, dialPath } from "../ucspi/dial.ts";
import type { Dialed } from "../ucspi/dial.ts";
import { original } from "./support.ts";
import type { Suite } from "./support.ts";

const SUITES: readonly Suite[] = ["ours", "C"];

/** Debian's s6 has the local commands; only a build of s6-networking has those of TCP. */
const local = peer("s6-fdholder-store");

/** The file of a command of one of the suites. */
function fileOf(suite: Suite, command: string): string {
  if (suite === "ours") return join(BIN, command);
  if (command.startsWith("s6-tcp")) return original(command).path;
  return findProgram(command) ?? command;
}

/** A socket that one combination of binder and store has put into the holder. */
interface Held {
  readonly id: string;
  readonly connect: () => Promise<Dialed>;
}

/** Bind a socket with the binder of one suite and store it with the other's or the same's. */
async function hold(
  scene: Scene,
  family: Family,
  [binder, store]: readonly [Suite, Suite],
): Promise<Held> {
  const path = scene.path(`${binder}-${store}`);
  const port = await scene.freePort();
  const address = family === "unix" ? [path] : ["127.0.0.1", String(port)];
  const id = `${family}:${address.join(":")}`;
  const command = family === "unix" ? "s6-ipcserver-socketbinder" : "s6-tcpserver-socketbinder";
  const words = [...address, fileOf(store, "s6-fdholder-store"), "s", id];
  const run = await scene.execute(fileOf(binder, command), words).finished();
  run.exits(0).stderrIs("");
  return { id, connect: () => (family === "unix" ? dialPath(path) : dial(port)) };
}

/** Have clients wait, start the server, kill it, and so on with the next of these. */
async function serveByTurns(scene: Scene, family: Family, { id, connect }: Held): Promise<void> {
  const server = family === "unix" ? "s6-ipcserverd" : "s6-tcpserverd";
  for (const retrieve of SUITES) {
    for (const serverd of SUITES) {
      await using waiting = await Waiting.connect(20, connect);
      const words = ["s", id, fileOf(serverd, server), "-1", "cat"];
      const process = scene.execute(fileOf(retrieve, "s6-fdholder-retrieve"), words);
      await process.line(/^\d*$/);
      await waiting.expectServed();
      process.signal("SIGKILL");
      await process.ended();
    }
  }
}

const RULES = Object.fromEntries([
  ["rules/uid/self/allow", ""],
  ...["STORE_REGEX", "RETRIEVE_REGEX"].map((name) => [
    `rules/uid/self/env/S6_FDHOLDER_${name}`,
    "^(unix|tcp):\n",
  ]),
]) as Readonly<Record<string, string>>;

describe.each(FAMILIES)("a %s socket", (family) => {
  const { isMissing, why } = family === "unix" ? local : original("s6-tcpserverd");

  describe.skipIf(isMissing || local.isMissing)(
    `bound, stored and served by both suites${why}`,
    () => {
      test.each(SUITES)("loses no client when the holder is %s", async (suite) => {
        await using scene = await newScene({ files: RULES });
        const file = fileOf(suite, "s6-fdholderd");
        await startHolder(scene, { file });
        const pairs = SUITES.flatMap((binder) =>
          SUITES.map((store): readonly [Suite, Suite] => [binder, store]),
        );
        const held = await Promise.all(pairs.map((pair) => hold(scene, family, pair)));
        await Promise.all(held.map((one) => serveByTurns(scene, family, one)));
      });
    },
  );
});

const nginx = peer("nginx");

const NGINX = `
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server { listen 127.0.0.1:PORT; location / { return 200 "held\\n"; } }
}
`;

test.skipIf(nginx.isMissing)(
  `nginx serves a held socket, and no request is refused while it is restarted${nginx.why}`,
  async () => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    scene.write("nginx.conf", NGINX.replace("PORT", String(activation.port)));
    // The variable of nginx for sockets that it finds open; it has no other use for descriptor 3.
    const script = 'exec 3<&0 </dev/null; NGINX="3;" exec "$@"';
    const start = (): SceneProcess =>
      scene.start("s6-fdholder-retrieve", [
        ...["fdholder/s", activation.id("tcp"), "sh", "-c", script, "nginx"],
        ...[nginx.path, "-p", `${scene.directory}/`, "-c", "nginx.conf"],
      ]);
    for (let round = 0; round < 2; round += 1) {
      const clients = await Promise.all(
        Array.from({ length: 10 }, () => activation.connect("tcp")),
      );
      for (const client of clients) client.write("GET / HTTP/1.0\r\n\r\n");
      const process = start();
      for (const client of clients) {
        expect(await client.rest()).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nheld\n$/);
      }
      process.endGroup();
      await process.ended();
    }
  },
);

const rsync = peer("rsync");

const RSYNC = `
use chroot = no
[files]
  path = DIRECTORY/files
  read only = yes
`;

test.skipIf(rsync.isMissing)(
  `rsync --daemon serves a held socket, and a copy that began while it was down is complete${rsync.why}`,
  async () => {
    await using scene = await newScene({ files: { "files/a/b": "content\n" } });
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    scene.write("rsyncd.conf", RSYNC.replace("DIRECTORY", scene.directory));
    const from = `rsync://127.0.0.1:${activation.port}/files/`;
    const copy = scene.execute(rsync.path, ["-a", from, "copy/"]);
    // It is in the queue of the socket.
    const daemon = [rsync.path, "--daemon", `--config=${scene.path("rsyncd.conf")}`];
    const words = ["fdholder/s", activation.id("tcp"), "s6-tcpserverd", "-1", ...daemon];
    const first = scene.start("s6-fdholder-retrieve", words);
    (await copy.finished()).exits(0).stderrIs("");
    expect(scene.read("copy/a/b")).toBe("content\n");
    first.signal("SIGKILL");
  },
);
