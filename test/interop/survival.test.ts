/** A super-server under shortages, damaged rules, clients that reset, and load. */

import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { isRoot, newScene, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

const prlimit = peer("prlimit");

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
async function warmUp({ port, process }: StartedServer): Promise<void> {
  expect(await ask(port, "before")).toBe("before");
  await process.line(/ end pid /);
}

/** The answer of the server; "" if the connection is refused or reset. */
async function attempt(port: number, text = "", from = "127.0.0.1"): Promise<string> {
  try {
    return await ask(port, text, { from });
  } catch {
    return ""; // the absence of an answer is the result
  }
}

describe.skipIf(prlimit.isMissing)(`shortages${prlimit.why}`, () => {
  test("a shortage of descriptors is reported once, and every client is served after it", async () => {
    await using scene = await newScene();
    const server = await startServer(scene, "-v", ["cat"]);
    await warmUp(server);
    const { port, process } = server;
    await limit(scene, process.pid, `nofile=${lowestFree(process.pid)}`);
    const waiting = [ask(port, "one"), ask(port, "two")];
    await process.line(/^s6-tcpserverd: warning: unable to accept: Too many open files$/);
    await limit(scene, process.pid, "nofile=1000");
    expect(await Promise.all(waiting)).toEqual(["one", "two"]);
    expect(await ask(port, "after")).toBe("after");
    process.signal("SIGTERM");
    const run = await process.finished();
    expect(run.stderr.split("\n").filter((line) => line.includes("unable to accept"))).toHaveLength(
      1,
    );
  });

  test("with one descriptor left the connection waits for its process", async () => {
    await using scene = await newScene();
    const server = await startServer(scene, "-v", ["cat"]);
    await warmUp(server);
    const { port, process } = server;
    await limit(scene, process.pid, `nofile=${lowestFree(process.pid) + 1}`);
    const waiting = ask(port, "one");
    await process.line(
      /^s6-tcpserverd: warning: unable to spawn cat: Too many open files, retrying$/,
    );
    await limit(scene, process.pid, "nofile=1000");
    expect(await waiting).toBe("one");
  });

  test.each([0, 1, 2, 3, 4, 5])(
    "with %i descriptors left a client is served when there are more again, and no descriptor is lost",
    async (left) => {
      await using scene = await newScene();
      const server = await startServer(scene, "-v", ["cat"]);
      await warmUp(server);
      const { port, process } = server;
      const before = openFiles(process.pid).length;
      await limit(scene, process.pid, `nofile=${lowestFree(process.pid) + left}`);
      const waiting = ask(port, "one");
      await Promise.race([waiting, process.line(/: Too many open files(?:, retrying)?$/)]);
      await limit(scene, process.pid, "nofile=1000");
      expect(await waiting).toBe("one");
      await process.line(/ end pid /);
      await process.line(/ status: 0\//);
      expect(openFiles(process.pid)).toHaveLength(before);
    },
  );

  test.skipIf(!isRoot)(
    `a shortage of processes is reported once, and every client is served after it${isRoot ? "" : " (skipped: not root)"}`,
    async () => {
      await using scene = await newScene();
      const server = await startServer(scene, "-v -u 54321 -g 54321", ["cat"]);
      await warmUp(server);
      const { port, process } = server;
      const identity = ["-u", "54321", "-g", "54321"];
      await limit(scene, process.pid, "nproc=1", identity);
      const waiting = [ask(port, "one"), ask(port, "two")];
      await process.line(
        /^s6-tcpserverd: warning: unable to spawn cat: Resource temporarily unavailable, retrying$/,
      );
      await limit(scene, process.pid, "nproc=1000", identity);
      expect(await Promise.all(waiting)).toEqual(["one", "two"]);
    },
  );
});

test("a program that cannot be executed costs its connection only", async () => {
  await using scene = await newScene({ files: { plain: "text" } });
  const { port, process } = await startServer(scene, "", ["./plain"]);
  expect(await ask(port)).toBe("");
  await process.line(/^s6-tcpserverd: warning: unable to spawn \.\/plain: Permission denied$/);
  rmSync(scene.path("plain"));
  expect(await ask(port)).toBe("");
  await process.line(
    /^s6-tcpserverd: warning: unable to spawn \.\/plain: No such file or directory$/,
  );
  scene.write("plain", "#!/bin/sh\necho served\n");
  expect(await ask(port)).toBe("served\n");
});

test("rules that are truncated, replaced and deleted under load admit no refused client", async () => {
  await using scene = await newScene({
    files: {
      marker: "#!/bin/sh\necho $TCPREMOTEIP >>ran\necho in\n",
      "rules/ip4/127.0.0.1_32/allow": "",
      "rules/ip4/127.0.0.1_32/env/FOO": "bar",
    },
  });
  (await scene.run("s6-accessrules-cdb-from-fs", ["good.cdb", "rules"])).exits(EXIT.ok);
  const good = scene.readBytes("good.cdb");
  const replace = (bytes: Uint8Array): void => {
    writeFileSync(scene.path("new.cdb"), bytes);
    renameSync(scene.path("new.cdb"), scene.path("rules.cdb"));
  };
  replace(good);
  const gate = ["s6-tcpserver-access", "-v0", "-H", "-x", "rules.cdb"];
  const { port } = await startServer(scene, "-q -c 100", [...gate, "./marker"]);
  const damages: readonly (() => void)[] = [
    ...[0, 1, 2047, 2048, 2049, good.length - 1].map((length) => () => {
      writeFileSync(scene.path("rules.cdb"), good.subarray(0, length)); // the same file, cut
    }),
    () => rmSync(scene.path("rules.cdb")),
    () => replace(Buffer.alloc(4096, 0xff)),
    () => replace(Buffer.concat([Buffer.alloc(2048, 0xfe), good.subarray(2048)])),
    () => replace(new Uint8Array(0)),
  ];
  for (const damage of damages) {
    const before = ["127.0.0.1", "127.0.0.2"].map((from) => attempt(port, "", from));
    damage();
    const after = ["127.0.0.2", "127.0.0.1", "127.0.0.2"].map((from) => attempt(port, "", from));
    await Promise.all([...before, ...after]);
    replace(good);
    expect(await attempt(port)).toBe("in\n");
  }
  const served = scene.read("ran").trim().split("\n");
  expect(served.filter((ip) => ip !== "127.0.0.1")).toEqual([]);
  expect(served.length).toBeGreaterThanOrEqual(damages.length);
});

test("clients that reset their connections at any point leave nothing behind", async () => {
  await using scene = await newScene({ files: { "rules/ip4/127.0.0.0_8/allow": "" } });
  const gate = ["s6-tcpserver-access", "-v0", "-H", "-B", "hello\n", "-i", "rules"];
  const { port, process } = await startServer(scene, "-q -c 50 -C 50", [...gate, "cat"]);
  expect(await ask(port, "x")).toBe("hello\nx");
  const before = openFiles(process.pid).length;
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const client = await dial(port);
        if (at % 5 > 0) client.write("x".repeat(at * 10_000));
        if (at % 5 > 1) await client.line();
        client.reset();
      }),
    );
  }
  expect(await ask(port, "y")).toBe("hello\ny");
  // A drain that ends is the proof that every connection has been accounted for.
  process.signal("SIGUSR2");
  (await process.finished()).exits(EXIT.ok);
  expect(before).toBeLessThan(60);
});

test("under load SIGHUP costs connections, and SIGTERM ends the server at once", async () => {
  await using scene = await newScene();
  const { port, process } = await startServer(scene, "-q -c 60 -C 60", ["cat"]);
  const answers: string[] = [];
  const load = Array.from({ length: 20 }, async () => {
    for (let turn = 0; turn < 15; turn += 1) {
      answers.push(await attempt(port, "x"));
      const isEarly = answers.length <= 180; // so that none arrives after the load
      if (isEarly && answers.length % 60 === 0) process.signal("SIGHUP");
    }
  });
  await Promise.all(load);
  expect(answers).toHaveLength(300);
  expect(new Set(answers)).toEqual(new Set(answers.includes("") ? ["x", ""] : ["x"]));
  expect(await ask(port, "after")).toBe("after");
  const last = Array.from({ length: 30 }, (_, at) => {
    const answer = attempt(port, "x");
    if (at === 15) process.signal("SIGTERM");
    return answer;
  });
  await Promise.all(last);
  (await process.finished()).exits(EXIT.ok);
});

test("hundreds of connections leave no descriptor and no process behind", async () => {
  await using scene = await newScene();
  const { port, process } = await startServer(scene, "-q -c 30 -C 30", ["true"]);
  await Promise.all(Array.from({ length: 30 }, () => attempt(port)));
  await settle(port);
  const before = openFiles(process.pid).length;
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(Array.from({ length: 30 }, () => attempt(port)));
  }
  await settle(port);
  expect(openFiles(process.pid).length).toBeLessThanOrEqual(before + 2);
  const children = await scene.shell(`cat /proc/${process.pid}/task/*/children | wc -w`);
  expect(Number(children.stdout)).toBeLessThanOrEqual(1);
});

/** One more connection, after which those before it have been accounted for. */
async function settle(port: number): Promise<void> {
  for (const _ of [1, 2, 3]) await attempt(port);
}
