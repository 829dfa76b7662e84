import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { expect } from "vitest";
import { acknowledged } from "../support/acknowledged.ts";
import { bothWays, HELD_OPEN } from "../support/scene.ts";
import type { RunOptions, Scene, SceneMaker, SceneProcess } from "../support/scene.ts";

/** s6-ioconnect on a connection to a server of the test, made by bash as it has no other way. */
interface Connected extends AsyncDisposable {
  readonly scene: Scene;
  readonly process: SceneProcess;
  /** The server's end. */
  readonly peer: Socket;
}

async function connect(scenes: SceneMaker, options = "", run: RunOptions = {}): Promise<Connected> {
  const scene = await scenes();
  const server: Server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const script = `exec 6<>/dev/tcp/127.0.0.1/${port} 7>&6; exec s6-ioconnect ${options}`;
  const accepted = once(server, "connection");
  const process = scene.execute("/bin/bash", ["--norc", "-c", script], {
    input: HELD_OPEN,
    ...run,
  });
  const [peer] = (await accepted) as [Socket];
  peer.on("error", () => {}); // resets are part of the tests
  return {
    scene,
    process,
    peer,
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]();
      peer.destroy();
      server.close();
    },
  };
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  return Buffer.concat(chunks);
}

bothWays("s6-ioconnect copies both ways and half-closes at each end", async (scenes) => {
  await using connection = await connect(scenes);
  const { process, peer } = connection;
  process.write("request");
  process.endInput();
  expect((await readAll(peer)).toString()).toBe("request"); // its end of file came through
  peer.end("reply");
  (await process.finished()).exits(0).stdoutIs("reply").stderrIs("");
});

bothWays("s6-ioconnect goes on sending after the other side has finished", async (scenes) => {
  await using connection = await connect(scenes);
  const { process, peer } = connection;
  peer.end("reply\n");
  await process.line(/^reply$/);
  process.write("late");
  process.endInput();
  expect((await readAll(peer)).toString()).toBe("late");
  (await process.finished()).exits(0);
});

bothWays(
  "s6-ioconnect loses nothing of many megabytes, at the pace of the reader",
  async (scenes) => {
    await using connection = await connect(scenes);
    const { process, peer } = connection;
    const big = Buffer.alloc(8 << 20, "0123456789abcdef");
    process.write(big);
    process.endInput();
    peer.write(big);
    expect((await readAll(peer)).equals(big)).toBe(true);
    peer.end();
    const run = await process.finished();
    run.exits(0);
    expect(run.stdoutBytes.equals(big)).toBe(true);
  },
);

bothWays("s6-ioconnect -t exits 1 when nothing moves", async (scenes) => {
  await using connection = await connect(scenes, "-t 100");
  (await connection.process.finished()).exits(1).stderrIs("");
});

bothWays("s6-ioconnect stops reading on SIGTERM", async (scenes) => {
  await using connection = await connect(scenes);
  const { process, peer } = connection;
  process.write("before\n");
  await once(peer, "data");
  process.signal("SIGTERM");
  (await process.finished()).exits(0);
});

bothWays(
  "s6-ioconnect says that the peer has reset the connection, and exits 111",
  async (scenes) => {
    await using connection = await connect(scenes);
    const { process, peer } = connection;
    process.write("x");
    await once(peer, "data");
    peer.resetAndDestroy();
    (await process.finished())
      .exits(111)
      .stderrIs("s6-ioconnect: warning: unable to read from fd 6: Connection reset by peer\n");
  },
);

bothWays("s6-ioconnect delivers all that came before a reset to a slow reader", async (scenes) => {
  const slow = "| { mkfifo go; echo ready >&2; read -r _ <go; wc -c; }";
  await using connection = await connect(scenes, slow);
  const { scene, process, peer } = connection;
  await process.line(/^ready$/);
  peer.write(Buffer.alloc(150_000, "x"));
  await acknowledged(peer);
  peer.resetAndDestroy();
  await scene.shell("echo >go");
  (await process.finished())
    .exits(0)
    .stdoutIs("150000\n")
    .stderrMatches(/warning: unable to read from fd 6: Connection reset by peer/);
});

bothWays("s6-ioconnect says that its output cannot be written, and exits 111", async (scenes) => {
  await using connection = await connect(scenes, ">/dev/full");
  const { process, peer } = connection;
  peer.write("x");
  process.endInput();
  await process.line(/unable to write/);
  peer.end();
  (await process.finished())
    .exits(111)
    .stderrIs("s6-ioconnect: warning: unable to write to fd 1: No space left on device\n");
});

bothWays("s6-ioconnect works between files and pipes", async (scenes) => {
  await using scene = await scenes({ files: { in: "from file\n" } });
  const run = await scene.shell("echo to file | s6-ioconnect -r 8 -w 9 8<in 9>out");
  run.exits(0).stdoutIs("from file\n");
  expect(scene.read("out")).toBe("to file\n");
});

bothWays("s6-ioconnect takes one descriptor for both ways", async (scenes) => {
  await using connection = await connect(scenes, "-w 6 -r 6");
  const { process, peer } = connection;
  process.write("there");
  process.endInput();
  expect((await readAll(peer)).toString()).toBe("there");
  peer.end("back");
  (await process.finished()).exits(0).stdoutIs("back");
});

bothWays("s6-ioconnect stops copying to an output that has no reader", async (scenes) => {
  await using connection = await connect(scenes, "| :; echo over >&2");
  const { process, peer } = connection;
  process.endInput();
  peer.write("x");
  await process.line(/^over$/);
});

bothWays("s6-ioconnect refuses descriptors that are closed or standard", async (scenes) => {
  await using scene = await scenes();
  const closed = await scene.run("s6-ioconnect", []);
  closed.exits(111).stderrIs("s6-ioconnect: fatal: unable to fstat fd 7: Bad file descriptor\n");
  for (const words of [["-r", "2"], ["-w", "0"], ["-t", "x"], ["-r"], ["-Z"]]) {
    (await scene.run("s6-ioconnect", words)).exits(100).stderrMatches(/s6-ioconnect: usage: /);
  }
  const ignored = await scene.run("s6-ioconnect", ["-0167"]);
  ignored.exits(111);
});

bothWays("s6-ioconnect leaves shared descriptors as blocking as they were", async (scenes) => {
  await using scene = await scenes();
  const script = "s6-ioconnect -r 8 8</dev/null -w 9 9>out; grep flags /proc/self/fdinfo/0 >&2";
  const run = await scene.shell(`echo | { ${script}; } | cat`);
  run.exits(0).stderrMatches(/^flags:\t00$/m); // O_NONBLOCK would be 04000
});
