import { expect, test } from "vitest";
import { formatUnixMessage } from "../../src/net/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { formatSudoRequest } from "../../src/sudo/request.ts";
import { BIN, isAlive, newScene } from "../support/scene.ts";
import type { RunOptions, Scene, SceneProcess } from "../support/scene.ts";

const posix = loadPosix();

interface Server {
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Start s6-sudod; the client's end of its connection. */
function serve(scene: Scene, { words, env = {} }: Server): { server: SceneProcess; end: Fd } {
  const [mine, its] = posix.socketPair("stream");
  const server = scene.start("s6-sudod", words, { env, fds: { 0: its, 1: its } });
  posix.close(its);
  return { server, end: mine };
}

/** Start both sides. */
function sudo(scene: Scene, server: Server, words: readonly string[], options: RunOptions = {}) {
  const { server: sudod, end } = serve(scene, server);
  const client = scene.start("s6-sudoc", words, { ...options, fds: { 6: end, 7: end } });
  posix.close(end);
  return { client, server: sudod };
}

/** Read so many bytes from a connection, fewer at its end. */
function take(fd: Fd, count: number): string {
  const bytes = Buffer.alloc(count);
  let at = 0;
  while (at < count) {
    posix.waitReady(fd, { readable: true }, 10_000);
    const got = posix.read(fd, bytes.subarray(at)) ?? 0;
    if (got === 0) break;
    at += got;
  }
  return bytes.toString("latin1", 0, at);
}

const BANNER = "s6-sudo b v1.0\n";

test("s6-sudoc gives its words, descriptors and exit code to the program of s6-sudod and back", async () => {
  await using scene = await newScene();
  const script = 'read line; echo "$line $*"; echo problem >&2; exit 7';
  const { client, server } = sudo(scene, { words: ["sh", "-c", script, "sh"] }, ["a b", "c"], {
    input: "in\n",
  });
  (await client.finished()).exits(7).stdoutIs("in a b c\n").stderrIs("problem\n");
  (await server.finished()).exits(0).stderrIs("");
});

test("a program that a signal ends, or that exits above 128, has the codes of the specification", async () => {
  await using scene = await newScene();
  for (const [script = "", code] of [
    ["kill -KILL $$", 137],
    ["exit 200", 128],
    ["exit 127", 127],
  ] as const) {
    const { client } = sudo(scene, { words: [] }, ["sh", "-c", script]);
    (await client.finished()).exits(code);
  }
});

test("the client's variables count where the server has them empty, and its PATH finds nothing", async () => {
  await using scene = await newScene({ files: { "evil/printenv": "#!/bin/sh\necho evil\n" } });
  const env = { OPEN: "", CLOSED: "server", PATH: "" };
  const client = {
    OPEN: "client",
    CLOSED: "client",
    OTHER: "client",
    PATH: `${scene.path("evil")}:/usr/bin`,
  };
  const words = ["/usr/bin/env"];
  const shown = await sudo(scene, { words, env }, [], { env: client }).client.finished();
  expect(shown.exits(0).stdout.split("\n")).toEqual(
    expect.arrayContaining(["OPEN=client", "CLOSED=server", `PATH=${client.PATH}`]),
  );
  expect(shown.stdout).not.toMatch(/OTHER/);
  const found = sudo(scene, { words: ["printenv"], env }, ["OPEN"], { env: client });
  expect((await found.client.finished()).stdout).not.toBe("evil\n");
  const kept = sudo(scene, { words, env: { OPEN: "" } }, ["-e"], { env: client });
  expect((await kept.client.finished()).exits(0).stdout).toMatch(/^OPEN=$/m);
});

test("the program has three descriptors and no other of the server", async () => {
  await using scene = await newScene({ files: { secret: "" } });
  const script = 'exec 9<secret; exec s6-sudod sh -c "ls /proc/self/fd | wc -l"';
  const [mine, its] = posix.socketPair("stream");
  scene.execute("/bin/sh", ["-c", script], { fds: { 0: its, 1: its } });
  const client = scene.start("s6-sudoc", [], { fds: { 6: mine, 7: mine } });
  for (const fd of [mine, its]) posix.close(fd);
  (await client.finished()).exits(0).stdoutIs("4\n"); // and the one that ls reads
});

test("-0, -1 and -2 withhold descriptors of the client", async () => {
  await using scene = await newScene();
  const script = "cat; echo out; echo err >&2";
  const { client, server } = sudo(scene, { words: ["-012", "sh", "-c", script] }, [], {
    input: "in",
  });
  (await client.finished()).exits(0).stdoutIs("").stderrIs("");
  (await server.finished()).exits(0).stderrIs("err\n");
});

test("s6-sudoc says what the specification captures, byte for byte", async () => {
  await using scene = await newScene();
  const [mine, its] = posix.socketPair("stream");
  const client = scene.execute("/usr/bin/env", ["-i", "FOO=cli", `${BIN}/s6-sudoc`, "a1", "a2"], {
    fds: { 6: its, 7: its },
  });
  posix.close(its);
  posix.write(mine, Buffer.from(BANNER));
  posix.waitReady(mine, { readable: true }, 10_000);
  const into = Buffer.alloc(4096);
  const message = posix.receiveMessage(mine, into);
  expect(into.toString("latin1", 0, message?.bytes)).toBe(
    "\0\0\0\x2d\0\x03s6-sudo a v1.0\n\0\0\0\x02\0\0\0\x01\0\0\0\x06\0\0\0\x08a1\0a2\0FOO=cli\0",
  );
  expect(message?.fds).toHaveLength(3);
  for (const fd of message?.fds ?? []) posix.close(fd);
  posix.write(mine, Buffer.from([0, 0, 0, 7, 0]));
  (await client.finished()).exits(7).stderrIs("");
  posix.close(mine);
});

test.each([
  [
    "another banner",
    "s6-sudo b v2.0\n",
    100,
    "the server is no s6-sudod, or one of another version",
  ],
  [
    "half a banner",
    "s6-sudo",
    111,
    "unable to read the banner of the server: the connection has ended",
  ],
  [
    "an errno",
    `${BANNER}\x02`,
    111,
    "the server could not run the program: No such file or directory",
  ],
  [
    "no confirmation",
    BANNER,
    111,
    "unable to get confirmation from the server: the connection has ended",
  ],
  [
    "no status",
    `${BANNER}\0\0`,
    111,
    "unable to get the exit status from the server: the connection has ended",
  ],
])("a server that sends %s ends s6-sudoc in one line", async (_, bytes, code, text) => {
  await using scene = await newScene();
  const [mine, its] = posix.socketPair("stream");
  posix.write(mine, Buffer.from(bytes, "latin1"));
  posix.shutdown(mine, "write");
  const client = scene.start("s6-sudoc", ["x"], { fds: { 6: its, 7: its } });
  posix.close(its);
  await client.ended();
  posix.close(mine); // with the descriptors that it has been sent
  (await client.finished()).exits(code).stderrIs(`s6-sudoc: fatal: ${text}\n`);
});

test("s6-sudoc gives up after -t without a banner, and after -T when the program runs on", async () => {
  await using scene = await newScene();
  const [mine, its] = posix.socketPair("stream");
  const late = scene.start("s6-sudoc", ["-t", "50", "x"], { fds: { 6: its, 7: its } });
  (await late.finished()).exits(111).stderrMatches(/banner of the server: Connection timed out\n$/);
  for (const fd of [mine, its]) posix.close(fd);
  const { client, server } = sudo(scene, { words: ["sleep", "1000"] }, ["-T", "300"]);
  (await client.finished())
    .exits(111)
    .stderrMatches(/exit status from the server: Connection timed out\n$/);
  (await server.finished()).exits(1);
});

test("s6-sudoc and s6-sudod without their descriptors exit in one line", async () => {
  await using scene = await newScene();
  (await scene.shell("s6-sudoc x 6<&- 7<&-"))
    .exits(111)
    .stderrIs("s6-sudoc: fatal: fd 6 is not open: Bad file descriptor\n");
  (await scene.run("s6-sudod", ["x"]))
    .exits(100)
    .stderrIs("s6-sudod: fatal: fd 0 is not a socket\n");
});

/** Send a message to a server, and return all that it answers, and how it ends. */
async function answered(scene: Scene, words: readonly string[], message: Uint8Array, fdCount = 3) {
  const { server, end } = serve(scene, { words });
  expect(take(end, BANNER.length)).toBe(BANNER);
  const fds = [...Array(fdCount).keys()].map(() => posix.open("/dev/null", "readwrite"));
  posix.sendMessage(end, message, fds);
  const run = await server.finished();
  const reply = take(end, 100);
  for (const fd of [...fds, end]) posix.close(fd);
  return { reply, run };
}

test("s6-sudod refuses messages that are none, without an answer or with EINVAL", async () => {
  await using scene = await newScene();
  const body = formatSudoRequest({ words: ["true"], variables: [] });
  const short = await answered(scene, ["true"], formatUnixMessage(body.subarray(0, 20), 3));
  expect([short.reply, short.run.exitCode]).toEqual(["", 100]);
  const two = await answered(scene, ["true"], formatUnixMessage(body, 2), 2);
  expect([two.reply, two.run.exitCode]).toEqual(["", 100]);
  const nameless = formatSudoRequest({ words: [], variables: ["NAME"] });
  const bad = await answered(scene, ["true"], formatUnixMessage(nameless, 3));
  expect([bad.reply, bad.run.exitCode]).toEqual(["\x16", 100]);
  const absent = formatSudoRequest({ words: ["no-such-program"], variables: [] });
  const none = await answered(scene, [], formatUnixMessage(absent, 3));
  expect([none.reply, none.run.exitCode]).toEqual(["\x02", 111]);
  none.run.stderrIs(
    "s6-sudod: fatal: unable to spawn no-such-program: No such file or directory\n",
  );
  const runs = await answered(
    scene,
    ["sh", "-c", "exit 7"],
    formatUnixMessage(formatSudoRequest({ words: [], variables: [] }), 3),
  );
  expect([runs.reply, runs.run.exitCode]).toEqual(["\0\0\0\x07\0", 0]);
});

test("a silent client is dropped after -t, and one that closes is at once", async () => {
  await using scene = await newScene();
  const silent = serve(scene, { words: ["-t", "100", "true"] });
  (await silent.server.finished()).exits(111).stderrMatches(/Connection timed out\n$/);
  const gone = serve(scene, { words: ["true"] });
  posix.close(gone.end);
  (await gone.server.finished()).exits(111);
  posix.close(silent.end);
});

const PROGRAM =
  "trap 'echo ended >> log; exit' TERM; echo pid $$ >&2; while :; do sleep 0.05; done";

/** Wait until the scene's log has a line. */
async function logged(scene: Scene): Promise<void> {
  while (!scene.has("log") || scene.read("log") === "")
    await new Promise((next) => setImmediate(next));
}

test.each(["SIGKILL", "SIGTERM"] as const)(
  "%s of the client ends the program, and leaves no process",
  async (signal) => {
    await using scene = await newScene();
    const { client, server } = sudo(scene, { words: ["sh", "-c", PROGRAM] }, []);
    const pid = Number((await client.line(/^pid (\d+)$/))[1]);
    client.signal(signal);
    (await server.finished()).exits(1);
    await logged(scene);
    expect(isAlive(pid)).toBe(false);
  },
);

test("SIGTERM of the server ends the program, stopped or not, and the client hears of it", async () => {
  await using scene = await newScene();
  const { client, server } = sudo(scene, { words: ["sh", "-c", PROGRAM] }, []);
  const pid = Number((await client.line(/^pid (\d+)$/))[1]);
  process.kill(pid, "SIGSTOP");
  server.signal("SIGTERM");
  (await server.finished()).exits(1);
  (await client.finished()).exits(111);
  expect(isAlive(pid)).toBe(false);
});

test("SIGKILL of the server ends the program too", async () => {
  await using scene = await newScene();
  const { client, server } = sudo(scene, { words: ["sh", "-c", PROGRAM] }, []);
  const pid = Number((await client.line(/^pid (\d+)$/))[1]);
  server.signal("SIGKILL");
  (await client.finished()).exits(111);
  await logged(scene);
  while (isAlive(pid)) await new Promise((next) => setImmediate(next));
});

test("with -d the program goes on without its client, which a half-close alone never ends", async () => {
  await using scene = await newScene();
  const program = "echo $$ > pid; while ! test -e go; do sleep 0.05; done; echo done > log";
  const { client, server } = sudo(scene, { words: ["-d", "sh", "-c", program] }, []);
  while (!scene.has("pid") || scene.read("pid") === "")
    await new Promise((next) => setImmediate(next));
  client.signal("SIGKILL");
  await client.finished();
  expect(isAlive(Number(scene.read("pid")))).toBe(true);
  scene.write("go", "");
  (await server.finished()).exits(0);
  expect(scene.read("log")).toBe("done\n");
  const half = serve(scene, { words: ["sh", "-c", "sleep 0.2; exit 3"] });
  take(half.end, BANNER.length);
  const fds = [0, 1, 2].map(() => posix.open("/dev/null", "readwrite"));
  posix.sendMessage(
    half.end,
    formatUnixMessage(formatSudoRequest({ words: [], variables: [] }), 3),
    fds,
  );
  posix.shutdown(half.end, "write");
  expect(take(half.end, 5)).toBe("\0\0\0\x03\0");
  for (const fd of [...fds, half.end]) posix.close(fd);
});
