/**
 * Those who come from ucspi-unix and ucspi-ipc: the clients of the one against our server, and what the
 * pages of the other promise (UCSPI-IPC), in our words; docs/migrating-from-inetd.md has the table.
 */

import { test } from "vitest";
import { loadPosix } from "../../src/posix/index.ts";
import { newScene, peer } from "../support/scene.ts";
import { Activation } from "../support/socket-activation.ts";
import { startLocalServer } from "../ucspi/servers.ts";

const posix = loadPosix();
const unixcat = peer("unixcat");
const unixclient = peer("unixclient");
const systemd = peer("systemd-socket-activate");

test.skipIf(unixcat.isMissing)(
  `unixcat prints what our server says: unixserver -p 0600 -B BANNER, translated${unixcat.why}`,
  async () => {
    await using scene = await newScene();
    const { path } = await startLocalServer(scene, "-a 0600 -c 10", [
      ...["sh", "-c", 'echo "$0"; exec "$@"', "BANNER", "printenv", "IPCREMOTEEUID"],
    ]);
    const run = await scene.execute(unixcat.path, [path]).finished();
    run.exits(0).stdoutIs(`BANNER\n${posix.geteuid()}\n`);
  },
);

test.skipIf(unixclient.isMissing)(
  `unixclient talks to a service on a held socket, which starts after it has connected${unixclient.why}`,
  async () => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    const talk = ["sh", "-c", 'echo hello >&7; IFS= read -r line <&6; echo "got $line"'];
    const client = scene.execute(unixclient.path, [activation.path, ...talk]);
    await activation.startService("unix");
    (await client.finished()).exits(0).stdoutIs("got hello\n");
  },
);

test("A program behind our rules gets all variables of UCSPI-IPC, and ipccat is a line of ours", async () => {
  const [uid, gid] = [posix.geteuid(), posix.getegid()];
  await using scene = await newScene({
    files: { [`rules/uid/${uid}/allow`]: "", [`rules/uid/${uid}/env/TASK`]: "of another user\n" },
  });
  const show = ["sh", "-c", "env | grep -E '^(PROTO|IPC|TASK)' | sort"];
  const gate = ["s6-ipcserver-access", "-v0", "-i", "rules"];
  const { path, process } = await startLocalServer(scene, "", [...gate, ...show]);
  const ipccat = await scene.run("s6-ipcclient", [path, "sh", "-c", "exec cat <&6"]);
  ipccat
    .exits(0)
    .stdoutIs(
      [
        "IPCCONNNUM=0",
        "IPCLOCALPATH=socket",
        `IPCREMOTEEGID=${gid}`,
        `IPCREMOTEEUID=${uid}`,
        "IPCREMOTEPATH=",
        "PROTO=IPC",
        "TASK=of another user",
        "",
      ].join("\n"),
    );
  process.signal("SIGTERM");
  (await process.finished()).exits(0);
});

test.skipIf(systemd.isMissing)(
  `systemd-socket-activate passes two sockets, which our super-server serves${systemd.why}`,
  async () => {
    await using scene = await newScene();
    const ports = [await scene.freePort(), await scene.freePort()].map(String);
    const listen = ports.flatMap((port) => ["-l", `127.0.0.1:${port}`]);
    const server = ["ucspi-listenfds", "s6-tcpserverd", "-v2", "cat"];
    const words = [...listen, "--fdname=a:b", "-E", "PATH", ...server];
    const manager = scene.execute(systemd.path, words);
    for (const port of ports) await manager.line(new RegExp(`^Listening on 127.0.0.1:${port} `));
    for (const port of ports) {
      const client = ["-H", "127.0.0.1", port, "s6-ioconnect"];
      (await scene.run("s6-tcpclient", client, { input: "hello\n" })).exits(0).stdoutIs("hello\n");
    }
    manager.signal("SIGTERM");
    (await manager.finished()).exits(0).stderrMatches(/^s6-tcpserverd: info: exiting$/m);
  },
);
