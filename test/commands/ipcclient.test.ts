import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { askPath } from "../ucspi/dial.ts";
import { startLocalServer } from "../ucspi/servers.ts";

const NAME = "s6-ipcclient";
const posix = loadPosix();

function listen(scene: Scene, backlog: number): Fd {
  const fd = posix.socket("unix", "stream");
  posix.bind(fd, { family: "unix", path: scene.path("socket") });
  posix.listen(fd, backlog);
  return fd;
}

function client(scene: Scene, words: string, ...program: string[]): Promise<Run> {
  return scene.run(NAME, [...words.split(" "), ...program]);
}

describe("the program of s6-ipcclient", () => {
  bothWays(
    "the program of s6-ipcclient reads from 6 and writes to 7, and its 0 and 1 are left alone",
    async (newScene) => {
      await using scene = await newScene();
      await startLocalServer(scene, "", ["sh", "-c", "read x; echo got $x"]);
      const script = "cat; echo hello >&7; cat <&6";
      const run = await scene.run(NAME, ["socket", "sh", "-c", script], { input: "stdin\n" });
      run.exits(EXIT.ok).stdoutIs("stdin\ngot hello\n").stderrIs("");
    },
  );

  bothWays("the program of s6-ipcclient gets the variables of local UCSPI", async (newScene) => {
    await using scene = await newScene();
    await startLocalServer(scene, "", ["true"]);
    const show = ["sh", "-c", "echo $PROTO [${IPCLOCALPATH-unset}] ${IPCREMOTEPATH-unset}"];
    (await client(scene, "socket", ...show)).exits(0).stdoutIs("IPC [] unset\n");
    (await client(scene, "-l here socket", ...show)).exits(0).stdoutIs("IPC [here] unset\n");
    (await client(scene, "-p bound socket", ...show)).exits(0).stdoutIs("IPC [bound] unset\n");
    expect(scene.has("bound")).toBe(true);
  });

  test("the program of s6-ipcclient can be known to its server by a path", async () => {
    await using scene = await newScene();
    await startLocalServer(scene, "", ["printenv", "IPCREMOTEPATH"]);
    const run = await client(scene, "-v -p bound socket", "sh", "-c", "cat <&6");
    run.exits(EXIT.ok).stdoutIs("bound\n").stderrIs(`${NAME}: info: connected to socket\n`);
  });

  bothWays(
    "the connection of s6-ipcclient behind a server ends with the program that had it",
    async (newScene) => {
      await using scene = await newScene();
      const { process } = await startLocalServer(scene, "-v -c 1", ["cat"]);
      const relay = [NAME, "socket", "sh", "-c", "echo hello >&7; head -n 1 <&6"];
      const second = scene.start("s6-ipcserver", ["-1", "second", ...relay]);
      await second.line(/^$/);
      for (let count = 0; count < 2; count += 1) {
        expect(await askPath(scene.path("second"))).toBe("hello\n");
        await process.line(/end pid .* exitcode 0$/);
      }
    },
  );
});

describe("a connection that cannot be made", () => {
  test.each([
    ["missing", "unable to connect to missing: No such file or directory"],
    ["file", "unable to connect to file: Connection refused"],
    ["-p file socket", "unable to bind to file: Address already in use"],
    ["-p missing/x socket", "unable to bind to missing/x: No such file or directory"],
    ["--abstract nobody-has-this", "unable to connect to @nobody-has-this: Connection refused"],
    [
      "x".repeat(108),
      `unable to connect to ${"x".repeat(108)}: File name too long (at most 107 bytes)`,
    ],
  ])("s6-ipcclient %s reports %s", async (words, problem) => {
    await using scene = await newScene({ files: { file: "" } });
    const run = await client(scene, words, "touch", "ran");
    run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: ${problem}\n`);
    expect(scene.has("ran")).toBe(false);
  });

  test("a connection that cannot be made leaves no path of -p behind", async () => {
    await using scene = await newScene();
    (await client(scene, "-p bound missing", "touch", "ran")).exits(EXIT.system);
    expect([scene.has("bound"), scene.has("ran")]).toEqual([false, false]);
  });

  test("a connection that cannot be made for want of room is given up after --timeout", async () => {
    await using scene = await newScene();
    const fd = listen(scene, 0);
    const first = posix.socket("unix", "stream");
    posix.connect(first, { family: "unix", path: scene.path("socket") });
    const run = await client(scene, "--timeout=30 socket", "touch", "ran");
    const problem = "unable to connect to socket: Connection timed out (its backlog is full)";
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: ${problem}\n`);
    const waiting = scene.start(NAME, ["-v", "socket", "true"]);
    for (const { fd: accepted } of posix.accept(fd, 1)) posix.close(accepted);
    await waiting.line(/connected to socket$/);
    (await waiting.finished()).exits(EXIT.ok);
    expect(scene.has("ran")).toBe(false);
    for (const open of [first, fd]) posix.close(open);
  });
});

test("s6-ipcclient --explain connects to no server", async () => {
  await using scene = await newScene();
  const fd = listen(scene, 4);
  const run = await client(scene, "--explain socket", "touch", "ran");
  run.exits(EXIT.ok).stdoutMatches(/connects to socket; the connection is on descriptors 6 and 7/);
  expect([posix.accept(fd, 1), scene.has("ran")]).toEqual([[], false]);
  posix.close(fd);
});

test.each([
  [[], "missing operand: path"],
  [["s"], "missing operand: prog"],
  [["", "true"], "the path is empty"],
  [["-p", "", "s", "true"], "-p must be a path: "],
  [["--timeout=soon", "s", "true"], "timeout must be an unsigned integer of milliseconds: soon"],
  [["-P", "s", "true"], "unrecognized short option: P"],
])("s6-ipcclient %j is a usage error", async (words, problem) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words);
  const [first, second] = run.exits(EXIT.usage).stdoutIs("").stderr.split("\n");
  expect(first).toBe(`${NAME}: fatal: ${problem}`);
  expect(second).toMatch(/^s6-ipcclient: usage: s6-ipcclient \[-q\|-Q\|-v\] /);
});
