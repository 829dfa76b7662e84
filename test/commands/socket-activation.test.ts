/** The example of docs/socket-activation.md as shipped: sockets that outlive the services that use them. */

import { describe, expect, test } from "vitest";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { Activation, FAMILIES, Waiting } from "../support/socket-activation.ts";
import { ask, askPath } from "../ucspi/dial.ts";

const CLIENTS = 40;

describe.each(FAMILIES)("a held %s socket", (family) => {
  bothWays("loses no client that connects while its service is dead", async (newScene) => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0).stderrIs("");
    const connect = () => activation.connect(family);
    await using early = await Waiting.connect(CLIENTS, connect);
    for (let round = 0; round < 2; round += 1) {
      const service = await activation.startService(family);
      await early.expectServed();
      await using served = await Waiting.connect(CLIENTS, connect);
      await served.expectServed();
      await using open = await connect();
      open.write("before\n");
      expect(await open.line()).toBe("before");
      service.signal("SIGKILL");
      await service.ended();
      await using waiting = await Waiting.connect(CLIENTS, connect);
      open.end("after\n"); // it was accepted, and its program lives on
      expect(await open.line()).toBe("after");
      const next = await activation.startService(family);
      await waiting.expectServed();
      next.signal("SIGTERM");
      (await next.finished()).exits(0).stderrIs("");
    }
  });

  test("loses no client while its service is told to stop again and again", async () => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    const waiting: Waiting[] = [];
    for (let round = 0; round < 4; round += 1) {
      const service = await activation.startService(family);
      waiting.push(await Waiting.connect(CLIENTS, () => activation.connect(family)));
      service.signal("SIGTERM");
      (await service.finished()).exits(0).stderrIs("");
    }
    await activation.startService(family);
    for (const clients of waiting) {
      await clients.expectServed();
      await clients[Symbol.asyncDispose]();
    }
  });

  test("loses no client when two services use it at the same time and one is killed", async () => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    const first = await activation.startService(family);
    await activation.startService(family);
    first.signal("SIGKILL");
    await first.ended();
    await using waiting = await Waiting.connect(CLIENTS, () => activation.connect(family));
    await waiting.expectServed();
  });

  test("is handed to the holder's successor while clients wait", async () => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    await using waiting = await Waiting.connect(CLIENTS, () => activation.connect(family));
    await activation.startHolder();
    await activation.startHolder();
    await activation.startService(family);
    await waiting.expectServed();
    expect(await activation.held()).toEqual([activation.id("tcp"), activation.id("unix")]);
  });
});

test("Sockets that are held already are left alone by the example's bind, and by the binders", async () => {
  await using scene = await newScene();
  const activation = await Activation.start(scene);
  (await activation.bind()).exits(0).stderrIs("");
  await using waiting = await Waiting.connect(3, () => activation.connect("unix"));
  (await activation.bind()).exits(0).stderrIs("");
  const store = ["s6-fdholder-store", "fdholder/s", "again"];
  const unix = await scene.run("s6-ipcserver-socketbinder", [activation.path, ...store]);
  unix.exits(111).stderrMatches(/: Address already in use \(a process has this socket open\)\n$/);
  const words = ["127.0.0.1", String(activation.port), ...store];
  const tcp = await scene.run("s6-tcpserver-socketbinder", words);
  tcp.exits(111).stderrMatches(/: Address already in use\n$/);
  expect(await activation.held()).toEqual([activation.id("tcp"), activation.id("unix")]);
  await activation.startService("unix");
  await waiting.expectServed();
});

test("A socket whose holder was killed can be bound anew, and is served again", async () => {
  await using scene = await newScene();
  const activation = await Activation.start(scene);
  (await activation.bind()).exits(0);
  const second = await activation.startHolder();
  second.signal("SIGKILL");
  await second.ended();
  await activation.startHolder();
  expect(await activation.held()).toEqual([]);
  (await activation.bind()).exits(0).stderrIs("");
  await activation.startService("unix");
  await activation.startService("tcp");
  expect(await askPath(activation.path, "a")).toBe("a");
  expect(await ask(activation.port, "b")).toBe("b");
});

test("A service whose socket is not held says so and is not started", async () => {
  await using scene = await newScene();
  const activation = await Activation.start(scene);
  const options = { directory: scene.path("echo-unix"), env: activation.env };
  const service = scene.execute(scene.path("echo-unix/run"), [], options);
  const run = await service.finished();
  const why = `unable to retrieve fd for id ${activation.id("unix")}: No such file or directory`;
  run.exits(1).stderrIs(`s6-fdholder-retrieve: fatal: ${why}\n`);
});

describe("the descriptors of a program on a held socket", () => {
  const SHOW = ["-c", "ls -l /proc/$$/fd"];

  /** The numbers of open descriptors, and which of those from 0 to 2 are sockets. */
  function told(listing: string): string[] {
    return [...listing.matchAll(/ (\d+) -> (\w+)/g)].map(([, fd = "", kind = ""]) =>
      Number(fd) < 3 && kind === "socket" ? `${fd} socket` : fd,
    );
  }

  /** The descriptors of a program that the test itself starts, without standard input. */
  async function usual(scene: Scene): Promise<string[]> {
    const { stdout } = await scene.execute("/bin/sh", SHOW).finished();
    return told(stdout);
  }

  bothWays("are those that it was given, and its socket", async (newScene) => {
    await using scene = await newScene();
    const activation = await Activation.start(scene);
    (await activation.bind()).exits(0);
    const expected = ["0 socket", ...(await usual(scene))];
    for (const family of FAMILIES) {
      const held = ["fdholder/s", activation.id(family)];
      const run = await scene.run("s6-fdholder-retrieve", [...held, "sh", ...SHOW]);
      expect(told(run.exits(0).stdout)).toEqual(expected);
      const server = family === "unix" ? "s6-ipcserverd" : "s6-tcpserverd";
      const service = scene.start("s6-fdholder-retrieve", [...held, server, "-1", "sh", ...SHOW]);
      await service.line(/^\d*$/);
      await using client = await activation.connect(family);
      expect(told(await client.rest())).toEqual(expected);
    }
  });
});
