/** Fd holders and their successors, misbehaving clients, shortages, and the manager of systemd. */

import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import {
  ALL_RIGHTS,
  connectClient,
  listenAt,
  openCount,
  idleCount,
  openPipes,
  pipeOf,
  posix,
  processorTicks,
  RawClient,
  ruleFiles,
  SELF,
  startHolder,
  storeBody,
} from "../support/fd-holder.ts";
import { newScene } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";

const STDERR = 2 as Fd;

/** Start a holder that takes over from the one at `s`, and wait until it serves. */
async function startSuccessor(scene: Scene): Promise<SceneProcess> {
  const words = ["-1", "--take-over", "-i", "rules", "s"];
  const successor = scene.start("s6-fdholder-daemon", words);
  await successor.line(/^$/);
  return successor;
}

describe("a successor", () => {
  test("has everything that the holder had, its socket too, and the holder exits 0", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const first = await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    const [reading, writing] = posix.pipe();
    await client.store(writing, "pipe");
    posix.close(writing);
    for (let index = 0; index < 300; index += 1) await client.store(STDERR, `id ${index}`);
    const second = await startSuccessor(scene);
    (await first.finished()).exits(0).stderrIs("");
    const third = await startSuccessor(scene);
    (await second.finished()).exits(0).stderrIs("");
    expect(await client.list()).toHaveLength(301);
    using late = await connectClient(scene.path("s"));
    const retrieved = await late.retrieve("pipe");
    posix.write(retrieved, Buffer.from("x"));
    expect(posix.waitReady(reading, { readable: true }, 10_000)?.readable).toBe(true);
    expect(openPipes(third.pid)).toContain(pipeOf(reading));
    posix.close(retrieved);
    posix.close(reading);
  });

  test("refuses no client and loses no request while clients come without pause", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    let count = 0;
    let isOver = false;
    const clients = [1, 2, 3, 4].map(async (number) => {
      for (; !isOver; count += 1) {
        using client = await connectClient(scene.path("s"));
        await client.store(STDERR, `${number}`);
        posix.close(await client.retrieve(`${number}`, { deletes: true }));
      }
    });
    const before = count;
    await startSuccessor(scene);
    await startSuccessor(scene);
    isOver = true;
    await Promise.all(clients);
    expect(count).toBeGreaterThan(before);
  });

  test.each([
    ["before it has said anything", ""],
    ["after it has asked", "48 00000001"],
    ["after something else than the commit", "48 00000001|4c"],
  ])("that ends %s leaves the holder as it was", async (_, bodies) => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    for (let index = 0; index < 300; index += 1) await client.store(STDERR, `id ${index}`);
    const open = await idleCount(holder.pid, client);
    const successor = new RawClient(scene.path("s"));
    for (const body of bodies.split("|")) if (body !== "") successor.ask(body);
    if (bodies !== "") await successor.receive();
    successor[Symbol.dispose]();
    expect(await client.list()).toHaveLength(300);
    if (bodies !== "") await holder.line(/the successor has failed: serving on/);
    await client.store(STDERR, "one more");
    await expect.poll(() => openCount(holder.pid)).toBe(open + 1);
  });

  test("of another version is refused, and the holder goes on", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using successor = new RawClient(scene.path("s"));
    successor.ask("48 00000002");
    expect(await successor.receive()).toEqual({ body: "5d", fds: [] }); // EPROTONOSUPPORT
    using client = await connectClient(scene.path("s"));
    expect(await client.list()).toEqual([]);
  });

  test("that no rule allows takes over all the same if it is of the holder's own user", async () => {
    await using scene = await newScene({ files: ruleFiles(ALL_RIGHTS, "rules", "uid/4294967000") });
    const first = await startHolder(scene);
    using client = new RawClient(scene.path("s"));
    client.ask("4c");
    expect(await client.receive()).toBeUndefined();
    await startSuccessor(scene);
    (await first.finished()).exits(0);
  });

  test("gets everything when the holder is told to stop while it hands over", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    await client.store(STDERR, "a");
    using successor = new RawClient(scene.path("s"));
    successor.ask("48 00000001");
    const [head, data] = [await successor.receive(), await successor.receive()];
    expect(head?.body).toBe("000000000100000001");
    expect(data?.body).toMatch(/^.{24}016100/);
    holder.signal("SIGTERM");
    successor.ask("43");
    expect(await successor.receive()).toEqual({ body: "0000000001", fds: [] });
    const clients = await successor.receive();
    expect(clients?.body).toBe("4b");
    for (const message of [head, data, clients]) {
      expect(message?.fds).toHaveLength(1);
      for (const fd of message?.fds ?? []) posix.close(fd);
    }
    (await holder.finished()).exits(0).stderrIs("");
  });

  test("that finds no holder at the path binds a socket there", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startSuccessor(scene);
    using client = await connectClient(scene.path("s"));
    expect(await client.list()).toEqual([]);
    holder.signal("SIGTERM");
    (await holder.finished()).exits(0);
  });
});

describe("the requests of clients", () => {
  test("may come in pieces, and several at once", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using client = new RawClient(scene.path("s"));
    for (const byte of ["00", "00", "00", "01", "00", "00", "4c"]) {
      client.send(byte);
      await new Promise(setImmediate);
    }
    expect(await client.receive()).toEqual({ body: "0000000000", fds: [] });
    client.send(`${"00000001 0000 4c".repeat(3)} 00000001`);
    for (let count = 0; count < 3; count += 1) {
      expect(await client.receive()).toEqual({ body: "0000000000", fds: [] });
    }
    client.send("0000 4c");
    expect(await client.receive()).toEqual({ body: "0000000000", fds: [] });
    const store = Buffer.concat([
      Buffer.from("000000010000" + "4c", "hex"),
      frame(storeBody("a"), 1),
    ]);
    client.send(store, [STDERR]);
    expect(await client.receive()).toEqual({ body: "0000000000", fds: [] });
    expect(await client.receive()).toEqual({ body: "00", fds: [] });
  });

  test("are answered when the client has closed its sending end already", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using client = new RawClient(scene.path("s"));
    client.ask("4c");
    posix.shutdown(client.fd, "write");
    expect(await client.receive()).toEqual({ body: "0000000000", fds: [] });
    expect(await client.receive()).toBeUndefined();
  });

  test.each([
    ["an unknown command", "5a", 0],
    ["an empty body", "", 0],
    ["a byte too many", "4c00", 0],
    ["an identifier of another length", "44 03 6161 00", 0],
    ["an identifier without its NUL", "44 02 6161 61", 0],
    ["an empty identifier", "44 00 00", 0],
    ["a NUL in the identifier", "44 03 610061 00", 0],
    ["a descriptor that is not asked for", "4c", 1],
    ["no descriptor to store", storeBody("a").toString("hex"), 0],
    ["two descriptors to store", storeBody("a").toString("hex"), 2],
    ["data of a dump that was not announced", `2e${storeBody("a").toString("hex").slice(2)}`, 1],
    ["a commit that nobody has asked for", "43", 0],
    ["a limit that is no label", "53 ffffffffffffffffffffffff 01 61 00", 1],
  ])("with %s end the connection without an answer, and are told to the log", async (...args) => {
    const [, body, descriptors] = args;
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    using client = new RawClient(scene.path("s"));
    const [reading, writing] = posix.pipe();
    client.ask(
      body,
      Array.from({ length: descriptors }, () => writing),
    );
    expect(await client.receive()).toBeUndefined();
    await holder.line(new RegExp(`warning: uid ${SELF} gid \\d+ sent `));
    posix.close(writing);
    expect(posix.waitReady(reading, { readable: true }, 10_000)?.hangup).toBe(true);
    posix.close(reading);
  });

  test.each(["00000001 00fe", "10000001 0000", "00010a00 0000"])(
    "that begin with the header %s end the connection at once",
    async (header) => {
      await using scene = await newScene({ files: ruleFiles() });
      await startHolder(scene);
      using client = new RawClient(scene.path("s"));
      client.send(header);
      expect(await client.receive()).toBeUndefined();
    },
  );

  test("for dumps that are never read cost no memory and no processor time", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    for (let index = 0; index < 50; index += 1) await client.store(STDERR, `id ${index}`);
    using greedy = new RawClient(scene.path("s"));
    const asked = Buffer.concat(Array.from({ length: 1000 }, () => frame(Buffer.from("?"), 0)));
    greedy.send(asked);
    for (let count = 0; count < 20; count += 1) await client.list();
    const before = processorTicks(holder.pid);
    await new Promise((resolve) => systemClock.setTimer(300, () => resolve(undefined)));
    expect(processorTicks(holder.pid) - before).toBeLessThan(10);
    for (let count = 0; count < 2000; count += 1) {
      const message = await greedy.receive();
      for (const fd of message?.fds ?? []) posix.close(fd);
      expect(message?.fds.length).toBe(count % 2 === 0 ? 0 : 50);
    }
  });

  test("for an entry that is deleted while its answer waits still get that entry's file", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    const [reading, writing] = posix.pipe();
    await client.store(reading, "a");
    using slow = new RawClient(scene.path("s"));
    const asked = Buffer.concat(
      Array.from({ length: 3000 }, () => frame(Buffer.from("R\0\x01a\0"), 0)),
    );
    slow.send(asked);
    await client.list();
    await client.delete("a");
    for (let index = 0; index < 20; index += 1) await client.store(STDERR, `other ${index}`);
    let files = 0;
    for (let count = 0; count < 3000; count += 1) {
      const message = await slow.receive();
      for (const fd of message?.fds ?? []) {
        expect(posix.isSameOpenFile(fd, reading)).toBe(true);
        files += 1;
        posix.close(fd);
      }
    }
    expect(files).toBeGreaterThan(0);
    posix.close(reading);
    posix.close(writing);
  });

  test("are cut by -t when the first does not come, and when an answer is not taken", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene, { words: ["-t", "200", "-i", "rules"] });
    using silent = new RawClient(scene.path("s"));
    expect(await silent.receive()).toBeUndefined();
    using client = await connectClient(scene.path("s"));
    for (let index = 0; index < 50; index += 1) await client.store(STDERR, `id ${index}`);
    using greedy = new RawClient(scene.path("s"));
    greedy.send(Buffer.concat(Array.from({ length: 1000 }, () => frame(Buffer.from("?"), 0))));
    await holder.lines(/took too long/);
    expect(await client.list()).toHaveLength(50);
  });
});

describe("the faults of the C suite's holder", () => {
  test("entries of a dump that expire at the same time do not hang ours", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using client = new RawClient(scene.path("s"));
    client.ask("21 00000003");
    expect(await client.receive()).toEqual({ body: "0000000001", fds: [] });
    const entry = (id: string): Buffer => storeBody(id).subarray(1);
    const data = Buffer.concat([Buffer.from("."), entry("a"), entry("b"), entry("c")]);
    client.ask(data, [STDERR, STDERR, STDERR]);
    expect(await client.receive()).toEqual({ body: "00", fds: [] });
    for (const id of ["b", "a"]) {
      client.ask(Buffer.from(`D\x01${id}\0`));
      expect(await client.receive()).toEqual({ body: "00", fds: [] });
    }
    client.ask(storeBody("b"), [STDERR]);
    expect(await client.receive()).toEqual({ body: "00", fds: [] });
    client.ask("4c");
    expect((await client.receive())?.body).toBe("000000000263006200");
  });

  test("a descriptor that cannot be received for want of room refuses that request alone", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    await client.store(STDERR, "kept");
    using other = await connectClient(scene.path("s"));
    await other.list();
    using unlucky = await connectClient(scene.path("s"));
    await unlucky.list();
    const limit = (soft: string): Buffer =>
      execFileSync("prlimit", ["--pid", String(holder.pid), `--nofile=${soft}:`]);
    const { soft } = posix.getrlimit("nofile");
    limit(String(openCount(holder.pid) - 1));
    await expect(unlucky.store(STDERR, "new")).rejects.toMatchObject({ code: "EMFILE" });
    await expect(unlucky.list()).rejects.toThrow();
    expect(await other.list()).toEqual(["kept"]);
    await holder.lines(/sent descriptors for which there is no room/);
    limit(String(soft));
    using late = await connectClient(scene.path("s"));
    expect(await late.list()).toEqual(["kept"]);
    posix.close(await client.retrieve("kept"));
    await client.store(STDERR, "new");
  });

  test("a client without room for what it retrieves is told so at once", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    using client = await connectClient(scene.path("s"));
    const [reading, writing] = posix.pipe();
    await client.store(reading, "a");
    posix.close(reading);
    posix.close(writing);
    const before = posix.getrlimit("nofile");
    posix.setrlimit("nofile", { ...before, soft: 3 });
    const outcome = await client.retrieve("a").then(
      () => "retrieved",
      (error: { code: string }) => error.code,
    );
    posix.setrlimit("nofile", before);
    expect(outcome).toBe("EMFILE");
  });
});

describe("systemd", () => {
  test.each(["notify", "@ucspi-test-notify"])(
    "is told at NOTIFY_SOCKET=%s that a holder is ready, and that it stops",
    async (name) => {
      await using scene = await newScene({ files: ruleFiles() });
      const isAbstract = name.startsWith("@");
      const unique = isAbstract ? `${name}-${process.pid}` : scene.path(name);
      const path = isAbstract ? `\0${unique.slice(1)}` : unique;
      const manager = posix.socket("unix", "datagram");
      posix.bind(manager, { family: "unix", path });
      const holder = await startHolder(scene, { env: { NOTIFY_SOCKET: unique } });
      const receive = (): string => {
        posix.waitReady(manager, { readable: true }, 10_000);
        const buffer = Buffer.alloc(100);
        return buffer.toString("latin1", 0, posix.receiveMessage(manager, buffer)?.bytes);
      };
      expect(receive()).toBe("READY=1");
      holder.signal("SIGTERM");
      expect(receive()).toBe("STOPPING=1");
      posix.close(manager);
      (await holder.finished()).exits(0);
    },
  );

  test("has its sockets stored by their names with s6-fdholder-store --listen-fds, all or none", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    const [one, two, three] = [1, 2, 3].map((number) => listenAt(scene.path(`l${number}`)));
    const fds = { 3: one ?? 0, 4: two ?? 0, 5: three ?? 0 };
    const script = (prefix: string, names: string): string =>
      `LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=${names} exec s6-fdholder-store --listen-fds s ${prefix}`;
    (await scene.shell(script("systemd:", "http:http:"), { fds })).exits(0).stderrIs("");
    const ids = ["systemd:http", "systemd:http:2", "systemd:unknown"];
    const list = async (): Promise<string[]> =>
      (await scene.run("s6-fdholder-list", ["s"])).stdoutBytes.toString().trimEnd().split("\n");
    expect((await list()).toSorted()).toEqual(ids);
    const again = await scene.shell(script("systemd:", "new:http:other"), { fds });
    again.exits(1).stderrMatches(/unable to store fd: Device or resource busy/);
    expect((await list()).toSorted()).toEqual(ids);
    const stray = await scene.shell("LISTEN_PID=1 LISTEN_FDS=3 s6-fdholder-store --listen-fds s x");
    stray.exits(100).stderrIs("s6-fdholder-store: fatal: invalid $LISTEN_PID\n");
    for (const fd of Object.values(fds)) posix.close(fd as Fd);
  });

  test("has its sockets served with ucspi-listenfds, all or those of a name", async () => {
    await using scene = await newScene();
    const [one, two] = [listenAt(scene.path("l1")), listenAt(scene.path("l2"))];
    const fds = { 3: one, 4: two };
    const start = (words: string): SceneProcess => {
      const prepared = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b exec ucspi-listenfds";
      return scene.execute("/bin/sh", ["-c", `${prepared} ${words}`], { fds });
    };
    const served = start("--only=b s6-ipcserverd -1 sh -c 'echo $LISTEN_FDS-served'");
    await served.line(/^$/);
    const client = await scene.run("s6-ipcclient", ["l2", "sh", "-c", "cat <&6"]);
    client.exits(0).stdoutIs("-served\n");
    const names = await start("sh -c 'echo $UCSPI_LISTENERS; test -S /dev/fd/4'").finished();
    names.exits(0).stdoutIs("4\n");
    const none = await start("--only=c true").finished();
    none.exits(100).stderrIs("ucspi-listenfds: fatal: no such socket in LISTEN_FDS\n");
    for (const fd of [one, two]) posix.close(fd);
  });
});

function frame(body: Uint8Array, descriptors: number): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(body.length);
  header.writeUInt16BE(descriptors, 4);
  return Buffer.concat([header, body]);
}
