/**
 * The privilege domain of TLS in a server: what the network sends is parsed by a process that has no
 * right but to use the descriptors it is sent, and whose end costs its connections and nothing more.
 */

import { chmodSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { findProgram, isAlive, isRoot, newScene } from "../support/scene.ts";
import {
  callOn,
  childrenOf,
  descriptorsOf,
  ECHO,
  engineOf,
  isBusy,
  isEchoed,
  lastOf,
  restOf,
  startTls,
  statusOf,
  until,
  visit,
} from "../tls/processes.ts";
import { dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const setpriv = findProgram("setpriv");
const WITH_GROUPS = ["setpriv", "--groups", "31339,31340"];
const UID = "31337";
const GID = "31338";

describe.skipIf(!isRoot)("an engine with TLS_UID and TLS_GID (needs root)", () => {
  const variables = { TLS_UID: UID, TLS_GID: GID };

  test("has that identity in every thread, no groups and no capabilities", async () => {
    await using scene = await newScene();
    const { engine } = await startTls(scene, ECHO, { variables });
    expect(new Set(statusOf(engine, "Uid"))).toEqual(new Set([[UID, UID, UID, UID].join(" ")]));
    expect(new Set(statusOf(engine, "Gid"))).toEqual(new Set([[GID, GID, GID, GID].join(" ")]));
    expect(new Set(statusOf(engine, "Groups"))).toEqual(new Set([""]));
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
      for (const bits of statusOf(engine, set)) expect(bits).toMatch(/^0+$/);
    }
  });

  test.skipIf(setpriv === undefined)(
    "has no groups where the server has some (needs setpriv)",
    async () => {
      await using scene = await newScene();
      const { process, engine } = await startTls(scene, ECHO, { variables, through: WITH_GROUPS });
      expect(statusOf(process.pid, "Groups")[0]).toBe("31339 31340");
      expect(new Set(statusOf(engine, "Groups"))).toEqual(new Set([""]));
    },
  );

  test("has no groups and no capabilities where only TLS_UID is set either", async () => {
    await using scene = await newScene();
    const { engine } = await startTls(scene, ECHO, { variables: { TLS_UID: UID } });
    expect(new Set(statusOf(engine, "Uid"))).toEqual(new Set([[UID, UID, UID, UID].join(" ")]));
    expect(new Set(statusOf(engine, "Groups"))).toEqual(new Set([""]));
    for (const bits of statusOf(engine, "CapEff")) expect(bits).toMatch(/^0+$/);
  });

  test("has its socket, stderr, what Node opens and connections, and none of the files", async () => {
    await using scene = await newScene();
    const { port, engine } = await startTls(scene, ECHO, { variables });
    const before = descriptorsOf(engine);
    const nodes = /^(anon_inode:\[event(poll|fd)\]|anon_inode:\[io_uring\]|\/dev\/null|pipe:.*)$/;
    expect(before.get(0)).toMatch(/^socket:/);
    for (const [fd, target] of before) if (fd > 2) expect(target).toMatch(nodes);
    const socket = await visit(port);
    expect(await isEchoed(socket, "x")).toBe(true);
    const added = [...descriptorsOf(engine)].filter(([fd]) => !before.has(fd));
    const kinds = added.map(([, target]) => target.replace(/:.*/, "")).sort();
    expect(kinds).toEqual(["pipe", "pipe", "socket"]);
    socket.destroy();
  });

  test("cannot read the key that it uses", async () => {
    await using scene = await newScene();
    chmodSync(scene.directory, 0o755);
    await startTls(scene, ECHO, { variables });
    const run = await scene.run("s6-setuidgid", [`${UID}:${GID}`, "cat", "server.key"]);
    run.exits(1).stderrMatches(/Permission denied/);
  });

  test("cannot be traced by the programs of its connections", async () => {
    await using scene = await newScene();
    const program = ["s6-tlsd", "s6-setuidgid", `${UID}:${GID}`, "sh", "-c"];
    const look = "read pid; ls -l /proc/$pid/fd 2>&1 | tail -n 1";
    const { port, engine } = await startTls(scene, [...program, look], { variables });
    const socket = await visit(port);
    const said = restOf(socket);
    socket.write(`${engine}\n`);
    expect(await said).toMatch(/Permission denied\n$/);
  });
});

describe.skipIf(!isRoot)("s6-tlsd-io for a single connection (needs root)", () => {
  test.each([
    ["TLS_UID and TLS_GID", { TLS_UID: UID, TLS_GID: GID }, GID],
    ["TLS_UID alone", { TLS_UID: UID }, "0"],
  ])("has read the key when it takes on %s, and gives up all else", async (_, variables, gid) => {
    await using scene = await newScene({ way: "exec" });
    const { serverEnvironment } = makeCertificates(scene.directory);
    const engine = "read engine < /proc/$$/task/$$/children";
    const look = "grep -hE '^(Uid|Gid|Groups|CapEff):' /proc/$engine/task/*/status | sort -u";
    const program = ["s6-tlsd", "sh", "-c", `${engine}; ${look}`];
    const env = { ...serverEnvironment, ...variables };
    const through = setpriv === undefined ? [] : WITH_GROUPS;
    const { port } = await startServer(scene, "", program, { env, through });
    const said = await restOf(await visit(port));
    expect(said.replaceAll(/[\t ]+/g, " ").split("\n")).toEqual([
      expect.stringMatching(/^CapEff: 0+$/),
      ["Gid:", gid, gid, gid, gid].join(" "),
      "Groups: ",
      ["Uid:", UID, UID, UID, UID].join(" "),
      "",
    ]);
  });
});

describe("an engine", () => {
  test("has none of the descriptors that its server has inherited", async () => {
    const files = { "a file": "", "another file": "" };
    await using scene = await newScene({ files });
    const inherit = 'exec "$@" 7<"a file" 8<"a file" 9>"another file"';
    const through = ["sh", "-c", inherit, "sh"];
    const { process, engine } = await startTls(scene, ECHO, { through });
    const inherited = [...descriptorsOf(process.pid).values()].filter((to) => to.endsWith(" file"));
    expect(inherited).toHaveLength(3);
    expect([...descriptorsOf(engine).values()].filter((to) => to.endsWith(" file"))).toEqual([]);
  });

  test("has the path that Node is found by and its launcher's notes for an environment", async () => {
    await using scene = await newScene();
    const variables = { SECRET: "of the programs" };
    const { engine } = await startTls(scene, ECHO, { variables });
    const environment = readFileSync(`/proc/${engine}/environ`, "latin1").split("\0");
    const names = environment.map((variable) => variable.replace(/=.*/s, ""));
    const ofTheLauncher = "UCSPI_INHERITED";
    expect(names.filter((name) => name !== ofTheLauncher)).toEqual(["PATH", ""]);
  });

  test("has the limit of the heap that its server was given", async () => {
    await using scene = await newScene();
    const { engine } = await startTls(scene, ECHO, { variables: { UCSPI_HEAP_MB: "77" } });
    const words = readFileSync(`/proc/${engine}/cmdline`, "latin1").split("\0");
    expect(words.filter((word) => word.includes("old-space"))).toEqual(["--max-old-space-size=77"]);
  });
});

const strace = findProgram("strace");

test.skipIf(strace === undefined)(
  "the server reads nothing from the network, and keeps no connection (needs strace)",
  async () => {
    await using scene = await newScene();
    const { port, process, engine } = await startTls(scene);
    const reads = ["-e", "trace=read,readv,recvfrom,recvmsg,pread64", "-xx", "-s", "64"];
    const words = ["-f", ...reads, "-o", scene.path("trace"), "-p", String(process.pid)];
    const tracer = scene.execute(strace ?? "", words);
    await tracer.line(/attached/);
    const sockets = (): number =>
      [...descriptorsOf(process.pid).values()].filter((to) => to.startsWith("socket:")).length;
    const before = sockets();
    const socket = await visit(port);
    expect(await isEchoed(socket, "a secret")).toBe(true);
    await until(() => sockets() <= before);
    expect(await engineOf(process.pid)).toBe(engine);
    socket.end();
    await restOf(socket);
    tracer.signal("SIGINT");
    await tracer.ended();
    // The records of TLS begin with their type and version: handshake, alert, data.
    expect(scene.read("trace")).not.toMatch(/"\\x1[4-7]\\x03\\x0[1-3]/);
    expect(scene.read("trace")).toMatch(/recvmsg/);
  },
);

describe("an engine that is killed", () => {
  test("takes its connections along, and nothing else", async () => {
    await using scene = await newScene();
    const program = ["s6-tlsd", "sh", "-c", "cat; echo program saw the end >&2"];
    const { port, process, engine } = await startTls(scene, program);
    const socket = await visit(port);
    expect(await isEchoed(socket, "x")).toBe(true);
    globalThis.process.kill(engine, "SIGKILL");
    expect(await restOf(socket)).toBe("");
    await until(() => childrenOf(process.pid).length === 0);
    await until(() => process.output.includes("program saw the end\n"));
    const warning = "ucspi-tls-engine: warning: ended by signal 9; its connections are lost\n";
    await until(() => process.output.includes(warning));
    await callOn(port);
    expect(await engineOf(process.pid)).not.toBe(engine);
  });

  test("is replaced for the next connection if it was killed while it had none", async () => {
    await using scene = await newScene();
    const { port, process, engine } = await startTls(scene);
    globalThis.process.kill(engine, "SIGKILL");
    await lastOf(engine);
    await callOn(port);
    await until(() => !childrenOf(process.pid).includes(engine));
    expect(await engineOf(process.pid)).not.toBe(engine);
  });

  test("does nothing to connections that have not asked for TLS", async () => {
    await using scene = await newScene();
    const { port, process, engine } = await startTls(scene, ["s6-ucspitlsd", "cat"]);
    const plain = await dial(port);
    plain.write("before\n");
    expect(await plain.line()).toBe("before");
    globalThis.process.kill(engine, "SIGKILL");
    plain.write("after\n");
    expect(await plain.line()).toBe("after");
    await lastOf(engine);
    await using next = await dial(port);
    next.write("next\n");
    expect(await next.line()).toBe("next");
    await until(() => !childrenOf(process.pid).includes(engine));
    expect(await engineOf(process.pid)).not.toBe(engine);
    plain.socket.destroy();
  });
});

describe("an engine whose server ends", () => {
  test.each(["SIGTERM", "SIGKILL"] as const)(
    "by %s serves the programs that run, and ends with the last of them",
    async (signal) => {
      await using scene = await newScene();
      const { port, process, engine } = await startTls(scene);
      const sockets = [await visit(port), await visit(port)];
      for (const socket of sockets) expect(await isEchoed(socket, "before")).toBe(true);
      process.signal(signal);
      await process.ended();
      for (const socket of sockets) {
        expect(await isEchoed(socket, "after")).toBe(true);
        expect(isAlive(engine)).toBe(true);
        socket.end();
        await restOf(socket);
      }
      await until(() => !isAlive(engine));
    },
  );

  test("gives up a handshake that is under way, for there will be no program", async () => {
    await using scene = await newScene();
    const { port, process, engine } = await startTls(scene);
    const plain = await dial(port);
    await until(() => isBusy(engine));
    process.signal("SIGTERM");
    await process.ended();
    await plain.rest();
    await until(() => !isAlive(engine));
  });

  test("ends at once when it has nothing to do", async () => {
    await using scene = await newScene();
    const { process, engine } = await startTls(scene);
    process.signal("SIGTERM");
    await process.ended();
    await until(() => !isAlive(engine));
  });
});
