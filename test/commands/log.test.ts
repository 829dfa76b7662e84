/** The log of commands as shipped, where nobody reads it, or nobody can. */

import { openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, HELD_OPEN, isAlive, newScene, peer } from "../support/scene.ts";
import type { SceneProcess } from "../support/scene.ts";
import { StalledPipe } from "../support/stalled-pipe.ts";
import { dialTls } from "../support/tls-dial.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** The time limit for a process that ends at once. */
const AT_ONCE_MS = 500;

async function millisecondsUntilEnd(process: SceneProcess): Promise<number> {
  const before = performance.now();
  await process.ended();
  return performance.now() - before;
}

/** Connect and send what is no ClientHello; the server fails the handshake. */
async function failHandshake(port: number): Promise<void> {
  await using dialed = await dial(port);
  dialed.end("GET / HTTP/1.0\r\n\r\n");
  await dialed.rest();
}

const SAME = ["sh", "-c", 'while read line; do echo "$line"; done'];

describe("a log without a reader", () => {
  test("failed TLS handshakes do not stop established connections while no process reads the log", async () => {
    await using scene = await newScene();
    using log = new StalledPipe("pipe", 4096);
    const { root, serverEnvironment: env } = makeCertificates(scene.directory);
    const fds = { 2: log.writer };
    const options = { env, fds };
    const { port, process } = await startServer(scene, "-c 200", ["s6-tlsd", ...SAME], options);
    await using established = await dialTls(port, { ca: root.pem });
    established.write("before\n");
    expect(await established.line()).toBe("before");
    for (let i = 0; i < 100; i++) await failHandshake(port);
    established.write("after\n");
    expect(await established.line()).toBe("after");
    // Others share the pipe: a write that would block has to block them.
    expect(log.isNonblocking).toBe(false);
    established.end();
    await established.rest();
    process.signal("SIGTERM");
    expect(await millisecondsUntilEnd(process)).toBeLessThan(AT_ONCE_MS);
    expect((await log.readUntil(/fatal/)).split("\n")[0]).toMatch(/^s6-tlsd-io: fatal: /);
  });

  bothWays(
    "a server serves connections while no process reads its log, and SIGTERM ends it at once",
    async (newScene, way) => {
      await using scene = await newScene({ files: { "rules/ip4/127.0.0.1_32/allow": "" } });
      using log = new StalledPipe();
      const program = ["s6-tcpserver-access", "-v2", "-H", "-i", scene.path("rules"), "cat"];
      const { port, process } = await startServer(scene, "-v", program, { fds: { 2: log.writer } });
      // A gate that becomes its program waits for room, though not for long.
      const connections = way === "fused" ? 20 : 2;
      for (let i = 0; i < connections; i++) expect(await ask(port, `${i}`)).toBe(`${i}`);
      process.signal("SIGTERM");
      expect(await millisecondsUntilEnd(process)).toBeLessThan(AT_ONCE_MS);
    },
  );

  bothWays(
    "lines that have no room are dropped, and their number is logged once the log is read",
    async (newScene) => {
      await using scene = await newScene();
      using log = new StalledPipe();
      const { port, process } = await startServer(scene, "-v -C 1 --refusals=json", ["cat"], {
        fds: { 2: log.writer },
      });
      await using first = await dial(port);
      first.write("x\n");
      await first.line();
      const refused = 2000;
      for (let i = 0; i < refused; i++) await ask(port);
      const text = await log.readUntil(/missing here/);
      const [, missing = ""] =
        /^s6-tcpserverd: warning: (\d+) lines are missing here: this log was not read in time$/m.exec(
          text,
        ) ?? [];
      const rejected = text.match(/^s6-tcpserverd: info: reject |^\{"event":"refused"/gm) ?? [];
      expect(rejected.length + Number(missing)).toBe(2 * refused);
      expect(rejected.length).toBeGreaterThan(500);
      await ask(port);
      await log.readUntil(/missing here.*\n.* reject .*\n\{"event":"refused".*\}\n/);
      process.signal("SIGTERM");
    },
  );
});

describe("logs that take no lines", () => {
  async function survives(fds: Readonly<Record<number, number>>): Promise<void> {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ["cat"], { fds });
    for (let i = 0; i < 20; i++) expect(await ask(port, `${i}`)).toBe(`${i}`);
    process.signal("SIGTERM");
    expect(await millisecondsUntilEnd(process)).toBeLessThan(AT_ONCE_MS);
  }

  test("a server goes on serving where its log is a socket that no process reads", async () => {
    using log = new StalledPipe("socket");
    await survives({ 2: log.writer });
  });

  test("a server goes on serving where its log is a pipe that no process can read any more", async () => {
    using log = new StalledPipe();
    log.break();
    await survives({ 2: log.writer });
  });

  test("a server goes on serving where its log is a full disk", async () => {
    await survives({ 2: openSync("/dev/full", "w") });
  });

  test("a server goes on serving where its log is closed", async () => {
    await using scene = await newScene();
    const server = scene.execute("/bin/sh", ["-c", "exec s6-tcpserver -v -1 127.0.0.1 0 cat 2>&-"]);
    const [, port = ""] = await server.line(/^(\d+)$/);
    expect(await ask(Number(port), "x")).toBe("x");
  });

  const script = peer("script");
  test.skipIf(script.isMissing)(
    `a server goes on serving where its log is a terminal that is stopped${script.why}`,
    async () => {
      await using scene = await newScene();
      const line = "s6-tcpserver -v -1 127.0.0.1 0 sh -c 'echo $PPID; exec cat' 2>&1";
      const terminal = scene.execute(script.path, ["-qefc", line, "/dev/null"], {
        input: HELD_OPEN,
      });
      const [, port = ""] = await terminal.line(/^(\d+)\r?$/);
      await using first = await dial(Number(port));
      const pid = Number(await first.line());
      await terminal.line(/ accept /);
      terminal.write("\x13");
      for (let i = 0; i < 50; i++) expect(await ask(Number(port), "x")).toMatch(/^\d+\nx$/);
      expect(isAlive(pid)).toBe(true);
      terminal.write("\x11");
      await terminal.line(/ end pid /);
      process.kill(pid, "SIGTERM");
      await terminal.line(/exiting/);
    },
  );
});

describe("a program that ends", () => {
  const line = /^s6-tcpserverd: fatal: stdin is not a socket\n$/;

  test("a program that ends waits for room for a fatal message, for a bounded time", async () => {
    await using scene = await newScene();
    using log = new StalledPipe();
    const before = performance.now();
    const run = await scene.start("s6-tcpserverd", ["cat"], { fds: { 2: log.writer } }).finished();
    run.exits(EXIT.usage);
    expect(performance.now() - before).toBeGreaterThan(900);
    expect(performance.now() - before).toBeLessThan(3000);
  });

  test("a program that ends writes a fatal message as soon as there is room", async () => {
    await using scene = await newScene();
    using log = new StalledPipe();
    const started = scene.start("s6-tcpserverd", ["cat"], { fds: { 2: log.writer } });
    expect(await log.readUntil(/\n$/)).toMatch(line);
    (await started.finished()).exits(EXIT.usage);
  });

  test("a program writes its lines before those of the program that it becomes", async () => {
    await using scene = await newScene({ way: "exec" });
    using log = new StalledPipe();
    const env = {
      PROTO: "TCP",
      TCPREMOTEIP: "192.0.2.7",
      TCPREMOTEPORT: "1",
      TCPLOCALIP: "192.0.2.1",
      TCPLOCALPORT: "2",
    };
    const words = ["-v2", "-H", "sh", "-c", "echo the program >&2"];
    const options = { env, fds: { 2: log.writer } };
    const started = scene.start("s6-tcpserver-access", words, options);
    const text = await log.readUntil(/the program/);
    expect(text).toMatch(/^s6-tcpserver-access: .* info: allow .*\nthe program\n$/);
    (await started.finished()).exits(0);
  });
});

describe("readiness without a reader", () => {
  test("a readiness notification without room does not keep a server from serving, and is written when there is room", async () => {
    await using scene = await newScene();
    using output = new StalledPipe();
    const port = await scene.freePort();
    const words = ["-v", "-1", "127.0.0.1", `${port}`, "cat"];
    const server = scene.start("s6-tcpserver", words, { fds: { 1: output.writer } });
    await server.line(/ status: 0\/40/);
    expect(await ask(port, "x")).toBe("x");
    expect(await output.readUntil(/\n/)).toBe(`${port}\n`);
    expect(await output.rest()).toBe(`${port}\n`);
    expect(await ask(port, "y")).toBe("y");
  });
});
