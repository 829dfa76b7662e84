import { statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { BIN, bothWays, isAlive, newScene, withoutOthers } from "../support/scene.ts";
import { askPath, dialPath } from "../ucspi/dial.ts";
import { logOf, startLocalServer } from "../ucspi/servers.ts";

const NAME = "s6-ipcserver";
const INFO = "s6-ipcserverd: info:";
const posix = loadPosix();
const UID = posix.geteuid();
const GID = posix.getegid();

/** Greets with its pid, then gives back what it gets. */
const ECHO = ["sh", "-c", "echo $$; exec cat"];

describe("the program of a local connection", () => {
  bothWays("the program of a local connection gets who its client is", async (newScene) => {
    await using scene = await newScene();
    const stale = { PROTO: "stale", IPCREMOTEEUID: "stale", IPCCONNNUM: "stale", KEPT: "a b" };
    const show = ["sh", "-c", "env | grep -E '^(PROTO|IPC|KEPT)' | sort; readlink /proc/$$/fd/1"];
    const { path } = await startLocalServer(scene, "", show, { env: stale });
    expect((await askPath(path)).replace(/\d+\]$/m, "N]")).toBe(
      [
        "IPCCONNNUM=0",
        `IPCREMOTEEGID=${GID}`,
        `IPCREMOTEEUID=${UID}`,
        "IPCREMOTEPATH=",
        "KEPT=a b",
        "PROTO=IPC",
        "socket:[N]",
        "",
      ].join("\n"),
    );
  });

  bothWays("the program of a local connection gets none of the ids with -P", async (newScene) => {
    await using scene = await newScene();
    const env = { IPCREMOTEEUID: "stale", IPCREMOTEEGID: "stale" };
    const show = ["sh", "-c", "echo ${IPCREMOTEEUID-no} ${IPCREMOTEEGID-no} [${IPCCONNNUM-no}]"];
    const options = "-v -P -c 3 -C 1";
    const { path, process } = await startLocalServer(scene, options, show, { env });
    expect(await askPath(path)).toBe("no no []\n");
    await process.line(/^s6-ipcserverd: info: allow \?:\? pid \d+ count \?\/3$/);
    await process.line(/^s6-ipcserverd: info: end pid \d+ uid \? exitcode 0$/);
  });

  test("the program of a local connection gets the path that its client is bound to", async () => {
    await using scene = await newScene();
    const { path } = await startLocalServer(scene, "", ["printenv", "IPCREMOTEPATH"]);
    const fd = posix.socket("unix", "stream");
    posix.bind(fd, { family: "unix", path: scene.path("client") });
    posix.connect(fd, { family: "unix", path });
    posix.setNonblocking(fd, false);
    const into = new Uint8Array(200);
    const bytes = posix.read(fd, into);
    expect(Buffer.from(into.subarray(0, bytes)).toString()).toBe(`${scene.path("client")}\n`);
    posix.close(fd);
  });
});

describe("limits", () => {
  bothWays("limits on one user close one connection more at once", async (newScene) => {
    await using scene = await newScene();
    const options = "-v -C 1 --refusals=json";
    const { path, process } = await startLocalServer(scene, options, ECHO);
    await using first = await dialPath(path);
    await first.line();
    expect(await askPath(path)).toBe("");
    await process.line(new RegExp(`^${INFO} deny ${UID}:${GID} count 1/1$`));
    const [record] = await process.line(/^\{.*\}$/);
    expect(JSON.parse(record)).toEqual({
      event: "refused",
      remoteUid: UID,
      remoteGid: GID,
      remotePath: "",
      localPath: "socket",
      by: "limit",
      reason: "1 of at most 1 connections of this user",
    });
    first.end("still here\n");
    expect(await first.rest()).toBe("still here\n");
  });

  bothWays("limits on all connections make the next client wait", async (newScene) => {
    await using scene = await newScene();
    const { path } = await startLocalServer(scene, "-c 1", ECHO);
    await using first = await dialPath(path);
    const pid = await first.line();
    await using second = await dialPath(path);
    first.end();
    await first.rest();
    expect(await second.line()).not.toBe(pid);
  });

  test("limits count the connections of a user from 0 on", async () => {
    await using scene = await newScene();
    const show = ["sh", "-c", "echo $IPCCONNNUM; exec cat"];
    const { path } = await startLocalServer(scene, "", show);
    await using first = await dialPath(path);
    await using second = await dialPath(path);
    const numbers = [await first.line(), await second.line()];
    expect(numbers.toSorted()).toEqual(["0", "1"]);
  });
});

describe("the log", () => {
  bothWays("the log has the lines of the C suite for one connection", async (newScene) => {
    await using scene = await newScene();
    const { path, process } = await startLocalServer(scene, "-v", ["sh", "-c", "exit 3"]);
    await askPath(path);
    await process.line(/status: 0\/40$/);
    await process.line(/status: 0\/40$/);
    process.signal("SIGTERM");
    expect(logOf((await process.finished()).exits(EXIT.ok).stderr)).toEqual([
      `${INFO} starting`,
      `${INFO} status: 0/40`,
      `${INFO} allow ${UID}:${GID} pid P count 1/40`,
      `${INFO} status: 1/40`,
      `${INFO} end pid P uid ${UID} exitcode 3`,
      `${INFO} status: 0/40`,
      `${INFO} received SIGTERM, quitting`,
      `${INFO} exiting`,
    ]);
  });

  test("the log of a quiet server is empty", async () => {
    await using scene = await newScene();
    const { path, process } = await startLocalServer(scene, "-q -C 1", ECHO);
    await using first = await dialPath(path);
    await first.line();
    expect(await askPath(path)).toBe("");
    process.signal("SIGQUIT");
    (await process.finished()).exits(EXIT.ok).stderrIs("");
  });

  bothWays(
    "the log says that a program cannot be executed, and the server goes on",
    async (newScene) => {
      await using scene = await newScene();
      const { path, process } = await startLocalServer(scene, "", ["/nonexistent"]);
      const warning =
        "s6-ipcserverd: warning: unable to spawn /nonexistent: No such file or directory";
      for (let count = 0; count < 2; count += 1) {
        expect(await askPath(path)).toBe("");
        await process.line(new RegExp(`^${warning}$`));
      }
    },
  );
});

describe("signals", () => {
  test.each([
    ["SIGTERM", "quitting", false],
    ["SIGQUIT", "sending SIGTERM\\+SIGCONT to all connections and quitting", true],
    ["SIGABRT", "sending SIGKILL to all connections and quitting", true],
  ] as const)("signals: %s is logged as %s, and ends the server", async (signal, deed, ends) => {
    await using scene = await newScene();
    const { path, process } = await startLocalServer(scene, "-v", ECHO);
    await using client = await dialPath(path);
    const pid = Number(await client.line());
    scene.adopt(pid);
    process.signal(signal);
    await process.line(new RegExp(`^${INFO} received ${signal}, ${deed}$`));
    await process.ended();
    if (ends) expect(await client.rest()).toBe("");
    else expect(isAlive(pid)).toBe(true);
  });

  bothWays(
    "signals: SIGHUP ends the connections, and the server accepts others",
    async (newScene) => {
      await using scene = await newScene();
      const { path, process } = await startLocalServer(scene, "", ECHO);
      await using client = await dialPath(path);
      await client.line();
      process.signal("SIGHUP");
      expect(await client.rest()).toBe("");
      await using other = await dialPath(path);
      expect(await other.line()).toMatch(/^\d+$/);
    },
  );

  bothWays(
    "signals: a server that drains lets another have its path, and serves whom it has",
    async (newScene) => {
      await using scene = await newScene();
      const { path, process } = await startLocalServer(scene, "-v", ECHO);
      await using client = await dialPath(path);
      await client.line();
      process.signal("SIGUSR2");
      await process.line(/received SIGUSR2, draining 1 connections$/);
      const next = await startLocalServer(scene, "", ["echo", "the next"]);
      expect(await askPath(path)).toBe("the next\n");
      client.end("still here\n");
      expect(await client.rest()).toBe("still here\n");
      (await process.finished()).exits(EXIT.ok);
      next.process.signal("SIGTERM");
      (await next.process.finished()).exits(EXIT.ok);
    },
  );

  test("signals: SIGTERM drains with --drain, and its end ends all connections", async () => {
    await using scene = await newScene();
    const { path, process } = await startLocalServer(scene, "--drain=50", ECHO);
    await using client = await dialPath(path);
    await client.line();
    process.signal("SIGTERM");
    expect(await client.rest()).toBe("");
    (await process.finished()).exits(EXIT.ok);
  });
});

describe("the path of a server", () => {
  bothWays("the path of a server that was killed is bound again", async (newScene) => {
    await using scene = await newScene();
    const first = await startLocalServer(scene, "", ["echo", "first"]);
    first.process.signal("SIGKILL");
    await first.process.finished();
    const { path } = await startLocalServer(scene, "", ["echo", "second"]);
    expect(await askPath(path)).toBe("second\n");
  });

  test("the path of a server has the permissions of -a", async () => {
    await using scene = await newScene();
    const { path } = await startLocalServer(scene, "-a 0700", ["true"]);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  bothWays("the path of a server may be an abstract name", async (newScene) => {
    await using scene = await newScene();
    const name = `ucspi ${scene.directory}`;
    const process = scene.start(NAME, ["-1", "--abstract", name, "echo", "here"]);
    await process.line(/^$/);
    const client = ["--abstract", name, "sh", "-c", "cat <&6"];
    (await scene.run("s6-ipcclient", client)).exits(EXIT.ok).stdoutIs("here\n");
  });
});

test.skipIf(withoutOthers !== "")(
  `a server drops its privileges once it is bound${withoutOthers}`,
  async () => {
    await using scene = await newScene();
    const show = ["sh", "-c", "id -u; id -g"];
    const { path } = await startLocalServer(scene, "-u 54321 -g 54322", show);
    expect(await askPath(path)).toBe("54321\n54322\n");
    expect(statSync(path).uid).toBe(0);
  },
);

describe("the parts of a command line", () => {
  test.each([
    ["s cat", "socketbinder -- s ipcserverd --"],
    ["-q s cat", "socketbinder -- s ipcserverd -v0 --"],
    ["-v -v s cat", "socketbinder -- s ipcserverd -v2 --"],
    [
      "-v -D -1 -P -c 10 -C 3 -b 5 -a 0750 -u 1 -g 2 -G 3,4 s cat",
      "socketbinder -D -b 5 -a 0750 -- s applyuidgid -u 1 -g 2 -G 3,4 -- ipcserverd -v2 -1 -P -c 10 -C 3 --",
    ],
    ["-a 0777 -p s cat", "socketbinder -- s ipcserverd --"],
    ["-a 07700 s cat", "socketbinder -a 0700 -- s ipcserverd --"],
    ["-c 0 -C 0 -b 0 s cat", "socketbinder -b 1 -- s ipcserverd -c 1 -C 1 --"],
    ["-u 0 -g 0 s cat", "socketbinder -- s ipcserverd --"],
    ["-u 9 -U -g 3 s cat", "socketbinder -- s applyuidgid -Uz -g 3 -- ipcserverd --"],
    [
      "--abstract --drain=5 --refusals=text s cat",
      "socketbinder --abstract -- s ipcserverd --drain=5 --refusals=text --",
    ],
  ])("the parts of s6-ipcserver %s are %s", async (words, parts) => {
    await using scene = await newScene();
    const env = { UID: "1", GID: "2", GIDLIST: "3" };
    const run = await scene.run(NAME, ["--explain", ...words.split(" ")], { env });
    const lines = run.exits(EXIT.ok).stdout.split("\n");
    const told = lines.filter((line) => line.startsWith(BIN));
    const short = told.map((line) => line.replace(/^.*\/s6-(?:ipcserver-)?/, ""));
    expect(short.join(" ")).toBe(parts);
  });

  test.each([
    [[], "missing operand: path"],
    [["s"], "missing operand: prog"],
    [["-a", "9", "s", "cat"], "-a must be an octal file mode: 9"],
    [["-c", "x", "s", "cat"], "-c must be an unsigned integer: x"],
    [["-m", "s", "cat"], "unrecognized short option: m"],
  ])("the parts of s6-ipcserver %j cannot be told", async (words, problem) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, words);
    expect(run.exits(EXIT.usage).stderr.split("\n")[0]).toBe(`${NAME}: fatal: ${problem}`);
  });
});
