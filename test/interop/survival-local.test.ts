/** A local super-server under shortages, clients that are killed, and load. */

import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { isRoot, newScene, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askPath, dialPath } from "../ucspi/dial.ts";
import { startLocalServer } from "../ucspi/servers.ts";
import type { LocalServer } from "../ucspi/servers.ts";

const prlimit = peer("prlimit");
const posix = loadPosix();

/** Set a soft limit of a process that runs, as its user. */
async function limit(
  scene: Scene,
  pid: number,
  what: string,
  identity: readonly string[] = [],
): Promise<void> {
  const words = [...identity, prlimit.path, "--pid", String(pid), `--${what}:`];
  (await scene.run("s6-applyuidgid", words)).exits(0);
}

function openFiles(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`).map(Number);
}

/** The number that the next file to be opened would get. */
function lowestFree(pid: number): number {
  const used = new Set(openFiles(pid));
  for (let fd = 0; ; fd += 1) if (!used.has(fd)) return fd;
}

/** Serve one client, so that the server has opened all that it will, and wait for its end. */
async function warmUp({ path, process }: LocalServer): Promise<void> {
  expect(await askPath(path, "before")).toBe("before");
  await process.line(/ end pid /);
  await process.line(/ status: 0\//);
}

/** The answer of the server; "" if the connection is refused or reset. */
async function attempt(path: string, text = ""): Promise<string> {
  try {
    return await askPath(path, text);
  } catch {
    return ""; // the absence of an answer is the result
  }
}

describe.skipIf(prlimit.isMissing)(`local shortages${prlimit.why}`, () => {
  test.each([0, 1, 2, 3])(
    "with %i descriptors left a local client is served when there are more again, and no descriptor is lost",
    async (left) => {
      await using scene = await newScene();
      const server = await startLocalServer(scene, "-v", ["cat"]);
      await warmUp(server);
      const { path, process } = server;
      const before = openFiles(process.pid).length;
      await limit(scene, process.pid, `nofile=${lowestFree(process.pid) + left}`);
      const waiting = askPath(path, "one");
      await Promise.race([waiting, process.line(/: Too many open files(?:, retrying)?$/)]);
      await limit(scene, process.pid, "nofile=1000");
      expect(await waiting).toBe("one");
      await process.line(/ end pid /);
      await process.line(/ status: 0\//);
      expect(openFiles(process.pid)).toHaveLength(before);
    },
  );

  test.skipIf(!isRoot)(
    `a local shortage of processes is reported once, and every client is served after it${isRoot ? "" : " (skipped: not root)"}`,
    async () => {
      await using scene = await newScene();
      const server = await startLocalServer(scene, "-v -u 54323 -g 54323", ["cat"]);
      await warmUp(server);
      const { path, process } = server;
      const identity = ["-u", "54323", "-g", "54323"];
      await limit(scene, process.pid, "nproc=1", identity);
      const waiting = [askPath(path, "one"), askPath(path, "two")];
      await process.line(
        /^s6-ipcserverd: warning: unable to spawn cat: Resource temporarily unavailable, retrying$/,
      );
      await limit(scene, process.pid, "nproc=1000", identity);
      expect(await Promise.all(waiting)).toEqual(["one", "two"]);
    },
  );
});

test("local clients that go at any point leave nothing behind", async () => {
  await using scene = await newScene({ files: { "rules/uid/default/allow": "" } });
  const gate = ["s6-ipcserver-access", "-v0", "-i", "rules"];
  const { path, process } = await startLocalServer(scene, "-q -c 50 -C 50", [...gate, "cat"]);
  expect(await askPath(path, "x")).toBe("x");
  const chunk = new Uint8Array(40_000);
  for (let round = 0; round < 20; round += 1) {
    const clients: Fd[] = [];
    for (let at = 0; at < 10; at += 1) {
      const fd = posix.socket("unix", "stream");
      posix.connect(fd, { family: "unix", path });
      if (at % 5 > 0) posix.write(fd, chunk.subarray(0, at * 4_000));
      if (at % 5 > 2) posix.shutdown(fd, at % 2 === 0 ? "write" : "both");
      clients.push(fd);
    }
    if (round % 2 === 0) await dialPath(path).then((client) => client.socket.destroy());
    for (const fd of clients) posix.close(fd);
  }
  expect(await askPath(path, "y")).toBe("y");
  // A drain that ends is the proof that every connection has been accounted for.
  process.signal("SIGUSR2");
  (await process.finished()).exits(EXIT.ok);
});

test("hundreds of local connections leave no descriptor and no process behind", async () => {
  await using scene = await newScene({ files: { "rules/uid/default/allow": "" } });
  const gate = ["s6-ipcserver-access", "-v0", "-i", "rules"];
  const { path, process } = await startLocalServer(scene, "-q -c 30", [...gate, "true"]);
  await Promise.all(Array.from({ length: 30 }, () => attempt(path)));
  await settle(path);
  const before = openFiles(process.pid).length;
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(Array.from({ length: 30 }, () => attempt(path)));
  }
  await settle(path);
  expect(openFiles(process.pid).length).toBeLessThanOrEqual(before + 2);
  const children = await scene.shell(`cat /proc/${process.pid}/task/*/children | wc -w`);
  expect(Number(children.stdout)).toBeLessThanOrEqual(1);
});

/** One more connection, after which those before it have been accounted for. */
async function settle(path: string): Promise<void> {
  for (const _ of [1, 2, 3]) await attempt(path);
}

const redis = peer("redis-server");
const redisClient = peer("redis-cli");

test.skipIf(redis.isMissing)(
  `a database client is served by its database through a local super-server that admits it${redis.why}`,
  async () => {
    await using scene = await newScene({ files: { "rules/uid/self/allow": "" } });
    const options = ["--port", "0", "--unixsocket", "database", "--save", "", "--dir", "."];
    const database = scene.execute(redis.path, options);
    await database.line(/connections .*database|ready to accept connections/i);
    const gate = ["s6-ipcserver-access", "-i", "rules"];
    const relay = ["s6-ipcclient", "database", "s6-ioconnect"];
    const { path } = await startLocalServer(scene, "", [...gate, ...relay]);
    const ask = async (...words: string[]): Promise<string> => {
      const run = scene.execute(redisClient.path, ["-s", path, ...words]);
      return (await run.finished()).exits(0).stdout;
    };
    expect(await ask("SET", "key", "x".repeat(1000))).toBe("OK\n");
    expect(await ask("STRLEN", "key")).toBe("1000\n");
  },
);
