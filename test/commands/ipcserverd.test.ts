import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { BIN, bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askPath, dialPath } from "../ucspi/dial.ts";
import { announcedLocally } from "../ucspi/servers.ts";
import type { LocalServer } from "../ucspi/servers.ts";

const NAME = "s6-ipcserverd";
const BINDER = "s6-ipcserver-socketbinder";
const posix = loadPosix();

/** Started with a socket that its binder has bound. */
function startDaemon(
  scene: Scene,
  options: string,
  program: readonly string[],
): Promise<LocalServer> {
  const words = ["socket", NAME, "-1", ...options.split(" ").filter(Boolean), ...program];
  return announcedLocally(scene, scene.start(BINDER, words));
}

bothWays("standard input of s6-ipcserverd has to be a socket", async (newScene) => {
  await using scene = await newScene();
  for (const input of ["</dev/null", "</etc/passwd", "<&-"]) {
    const run = await scene.shell(`${NAME} cat ${input}`);
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: stdin is not a socket\n`);
  }
});

describe("an unusable socket on standard input", () => {
  const loopback = {
    family: "inet",
    bytes: Uint8Array.of(127, 0, 0, 1),
    port: 0,
    scope: 0,
  } as const;
  const makers: readonly (readonly [string, string, (path: string) => Fd])[] = [
    [
      "a socket that does not listen",
      "stdin is not a listening socket",
      (path) => {
        const fd = posix.socket("unix", "stream");
        posix.bind(fd, { family: "unix", path });
        return fd;
      },
    ],
    [
      "a datagram socket",
      "stdin is not a listening socket",
      (path) => {
        const fd = posix.socket("unix", "datagram");
        posix.bind(fd, { family: "unix", path });
        return fd;
      },
    ],
    [
      "a TCP socket that listens",
      "stdin is not a Unix-domain socket",
      () => {
        const fd = posix.socket("inet", "stream");
        posix.bind(fd, loopback);
        posix.listen(fd, 1);
        return fd;
      },
    ],
  ];
  for (const [what, problem, make] of makers) {
    test(`s6-ipcserverd reports ${what} on standard input, and runs nothing`, async () => {
      await using scene = await newScene();
      const fd = make(scene.path("socket"));
      try {
        const run = spawnSync(join(BIN, NAME), ["cat"], { stdio: [fd, "pipe", "pipe"] });
        expect(String(run.stderr)).toBe(`${NAME}: fatal: ${problem}\n`);
        expect(run.status).toBe(EXIT.usage);
      } finally {
        posix.close(fd);
      }
    });
  }
});

describe("readiness", () => {
  bothWays("readiness is one newline, and then the end of standard output", async (newScene) => {
    await using scene = await newScene();
    const script = `${BINDER} socket ${NAME} -1 cat | { od -An -c; echo over; }`;
    const server = scene.execute("/bin/sh", ["-c", script]);
    await server.line(/^ +\\n$/);
    await server.line(/^over$/);
    expect(await askPath(scene.path("socket"), "hello")).toBe("hello");
  });

  bothWays(
    "readiness on a closed standard output is an error, without -1 it is none",
    async (newScene) => {
      await using scene = await newScene();
      const run = await scene.shell(`${BINDER} socket ${NAME} -1 cat >&-`);
      const problem = "called with option -1 but stdout said: Bad file descriptor";
      run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: ${problem}\n`);
      const quiet = scene.execute("/bin/sh", ["-c", `exec ${BINDER} socket ${NAME} -v2 cat >&-`]);
      await quiet.line(/status: 0\/40$/);
      expect(await askPath(scene.path("socket"), "hello")).toBe("hello");
    },
  );
});

describe("limits", () => {
  test("s6-ipcserverd -c above the maximum is the maximum", async () => {
    await using scene = await newScene();
    const { path, process } = await startDaemon(scene, "-v 2 -c 99999 -C 99999", ["true"]);
    await askPath(path);
    await process.line(/ count 1\/16384$/);
    await process.line(/ status: 0\/16384$/);
  });

  test("s6-ipcserverd -C is no more than -c, and 0 is 1", async () => {
    await using scene = await newScene();
    const { path, process } = await startDaemon(scene, "-v2 -c0 -C0", ["true"]);
    await askPath(path);
    await process.line(/ count 1\/1$/);
    await process.line(/ status: 0\/1$/);
  });
});

bothWays("a socket that listens is served whatever its mode and its type", async (newScene) => {
  await using scene = await newScene();
  for (const [type, blocks] of [
    ["stream", true],
    ["seqpacket", false],
  ] as const) {
    const fd = posix.socket("unix", type);
    const address = { family: "unix", path: scene.path(`${type}`) } as const;
    posix.bind(fd, address);
    posix.listen(fd, 4);
    posix.setNonblocking(fd, !blocks);
    // The descriptors of a child of this process begin with those that it is given.
    const server = scene.execute("/bin/sh", ["-c", `exec ${NAME} -1 echo served <&5`], {
      fds: { 5: fd },
    });
    await server.line(/^$/);
    const client = posix.socket("unix", type);
    posix.connect(client, address);
    posix.setNonblocking(client, false);
    const into = new Uint8Array(20);
    expect(posix.read(client, into)).toBe(7);
    posix.close(client);
    posix.close(fd);
  }
});

bothWays(
  "a client that has gone before it was accepted costs nothing, and others are served",
  async (newScene) => {
    await using scene = await newScene();
    const { path } = await startDaemon(scene, "-c 1", ["cat"]);
    await using first = await dialPath(path);
    for (let count = 0; count < 5; count += 1) {
      const fd = posix.socket("unix", "stream");
      posix.connect(fd, { family: "unix", path });
      posix.close(fd);
    }
    first.end("x");
    expect(await first.rest()).toBe("x");
    expect(await askPath(path, "hello")).toBe("hello");
  },
);

bothWays("further listeners of other families are told, and ignored", async (newScene) => {
  await using scene = await newScene();
  const program = `${NAME} -v1 -1 sh -c 'echo \${UCSPI_LISTENERS-none}; exec cat'`;
  const script = `exec 5</dev/null; UCSPI_LISTENERS=5 exec ${program}`;
  const process = scene.start(BINDER, ["socket", "sh", "-c", script]);
  const { path } = await announcedLocally(scene, process);
  expect(await askPath(path, "hello")).toBe("none\nhello");
  expect(process.output).toMatch(/warning: UCSPI_LISTENERS names .*, ignored: 5$/m);
});
