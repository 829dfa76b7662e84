/** Super-servers on sockets that a service manager has passed (LISTEN_FDS), and TLS on held and passed ones. */

import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { listenAt, posix } from "../support/fd-holder.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";
import { Activation } from "../support/socket-activation.ts";
import { ask, askPath, dial } from "../ucspi/dial.ts";
import type { Fd } from "../../src/posix/index.ts";

/** Pass descriptors from 3 on to a command, as systemd does. */
const PASSING = 'LISTEN_PID=$$ LISTEN_FDS=$COUNT exec "$@"';

function startPassed(scene: Scene, fds: readonly Fd[], words: readonly string[]): SceneProcess {
  const numbered = Object.fromEntries(fds.map((fd, index) => [3 + index, fd]));
  const env = { COUNT: String(fds.length), LISTEN_FDNAMES: fds.map((_, i) => `n${i}`).join(":") };
  const started = scene.execute("/bin/sh", ["-c", PASSING, "sh", ...words], { fds: numbered, env });
  for (const fd of fds) posix.close(fd);
  return started;
}

function listenTcp(): { readonly fd: Fd; readonly port: number } {
  const fd = posix.socket("inet", "stream");
  posix.bind(fd, { family: "inet", bytes: Uint8Array.of(127, 0, 0, 1), port: 0, scope: 0 });
  posix.listen(fd, 100);
  const address = posix.getsockname(fd);
  return { fd, port: "port" in address ? address.port : 0 };
}

const SHOW = ["sh", "-c", 'env | grep -c -E "^(LISTEN_|UCSPI_LISTENERS)"; ls -m /proc/$$/fd'];

describe("passed sockets", () => {
  bothWays(
    "are served, all of them, and the programs of connections get none",
    async (newScene) => {
      await using scene = await newScene();
      const [one, two] = [listenTcp(), listenTcp()];
      const usual = await scene.execute("/bin/sh", SHOW.slice(1)).finished();
      const tcp = startPassed(
        scene,
        [one.fd, two.fd],
        ["ucspi-listenfds", "s6-tcpserverd", "-1", ...SHOW],
      );
      await tcp.line(new RegExp(`^${one.port}$`));
      const paths = ["a", "b"].map((name) => scene.path(name));
      const locals = paths.map((path) => listenAt(path));
      const local = startPassed(scene, locals, ["ucspi-listenfds", "s6-ipcserverd", "-1", ...SHOW]);
      await local.line(/^$/);
      for (const { port } of [one, two]) expect(await ask(port)).toBe(usual.stdout);
      for (const path of paths) expect(await askPath(path)).toBe(usual.stdout);
      for (const server of [tcp, local]) {
        server.signal("SIGTERM");
        (await server.finished()).exits(0).stderrIs("");
      }
    },
  );

  bothWays("are taken by their name, and others are closed", async (newScene) => {
    await using scene = await newScene();
    const [one, two] = [listenTcp(), listenTcp()];
    const words = ["ucspi-listenfds", "--only=n1", "s6-tcpserverd", "-1", "cat"];
    const server = startPassed(scene, [one.fd, two.fd], words);
    await server.line(new RegExp(`^${two.port}$`));
    expect(await ask(two.port, "hello")).toBe("hello");
    await expect(dial(one.port)).rejects.toThrow("ECONNREFUSED");
  });

  test.each([
    ["LISTEN_PID=1 LISTEN_FDS=1", "invalid $LISTEN_PID"],
    ["LISTEN_FDS=1", "LISTEN_PID not set"],
    ["LISTEN_PID=$$", "LISTEN_FDS not set"],
    ["LISTEN_PID=$$ LISTEN_FDS=x", "invalid $LISTEN_FDS"],
    ["LISTEN_PID=$$ LISTEN_FDS=0", "no such socket in LISTEN_FDS"],
    ["LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a", "invalid $LISTEN_FDNAMES"],
  ])("that %s tells of are refused", async (variables, why) => {
    await using scene = await newScene();
    const run = await scene.shell(`${variables} exec ucspi-listenfds s6-tcpserverd cat 3<&-`);
    run.exits(100).stderrIs(`ucspi-listenfds: fatal: ${why}\n`);
  });
});

bothWays(
  "TLS is served on a held socket and on a passed one, to clients that came before",
  async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment, caFile } = makeCertificates(scene.directory);
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    const client = (port: number): SceneProcess =>
      scene.start(
        "s6-tlsclient",
        ["-H", "-k", "localhost", "127.0.0.1", String(port), "s6-ioconnect"],
        {
          env: { CAFILE: caFile },
          input: "hello\n",
        },
      );
    const passed = listenTcp();
    const clients = [client(activation.port), client(passed.port)];
    const chain = ["s6-tlsd", "cat"];
    scene.start(
      "s6-fdholder-retrieve",
      ["fdholder/s", activation.id("tcp"), "s6-tcpserverd", ...chain],
      {
        env: serverEnvironment,
      },
    );
    const variables = Object.entries(serverEnvironment).map(([name, value]) => `${name}=${value}`);
    startPassed(
      scene,
      [passed.fd],
      ["env", ...variables, "ucspi-listenfds", "s6-tcpserverd", ...chain],
    );
    for (const one of clients) (await one.finished()).exits(0).stdoutIs("hello\n");
  },
);
