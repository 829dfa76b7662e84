import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { BIN, bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { announced, logOf } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

const NAME = "s6-tcpserverd";
const BINDER = "s6-tcpserver-socketbinder";
const ECHO = ["sh", "-c", "echo $$; exec cat"];

/** Started with a socket that its binder has bound. */
function startDaemon(
  scene: Scene,
  options: string,
  program: readonly string[],
): Promise<StartedServer> {
  const words = ["127.0.0.1", "0", NAME, "-1", ...options.split(" ").filter(Boolean), ...program];
  return announced(scene.start(BINDER, words));
}

bothWays("standard input of s6-tcpserverd has to be a listening TCP socket", async (newScene) => {
  await using scene = await newScene();
  const none = await scene.run(NAME, ["cat"]);
  none.exits(EXIT.usage).stderrIs(`${NAME}: fatal: stdin is not a socket\n`);
  const file = await scene.shell(`${NAME} cat </etc/passwd`);
  file.exits(EXIT.usage).stderrIs(`${NAME}: fatal: stdin is not a socket\n`);
  const closed = await scene.shell(`${NAME} cat <&-`);
  closed.exits(EXIT.usage).stderrIs(`${NAME}: fatal: stdin is not a socket\n`);
});

describe("an unusable socket on standard input", () => {
  const posix = loadPosix();
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
      () => {
        const fd = posix.socket("inet", "stream");
        posix.bind(fd, loopback);
        return fd;
      },
    ],
    [
      "a datagram socket",
      "stdin is not a listening socket",
      () => {
        const fd = posix.socket("inet", "datagram");
        posix.bind(fd, loopback);
        return fd;
      },
    ],
    [
      "a Unix-domain socket that listens",
      "stdin is not a TCP socket",
      (path) => {
        const fd = posix.socket("unix", "stream");
        posix.bind(fd, { family: "unix", path });
        posix.listen(fd, 1);
        return fd;
      },
    ],
  ];
  for (const [what, problem, make] of makers) {
    test(`s6-tcpserverd reports ${what} on standard input, and runs nothing`, async () => {
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

describe("the list of further listeners", () => {
  /** Started behind a shell that says what the list is. */
  async function startListed(scene: Scene, list: string): Promise<StartedServer> {
    const program = `${NAME} -v1 -1 sh -c 'echo \${UCSPI_LISTENERS-none}; exec cat'`;
    const script = `exec 5<&0 6</dev/null; export UCSPI_LISTENERS=${list}; exec ${program}`;
    return announced(scene.start(BINDER, ["127.0.0.1", "0", "sh", "-c", script]));
  }

  bothWays(
    "the list of further listeners may name anything: a number that is no further listening socket is reported and left open",
    async (newScene) => {
      await using scene = await newScene();
      for (const list of ["0", "1", "2", "6", "0,0,9999", "99999999999999999999", "x,-1"]) {
        const { port, process } = await startListed(scene, list);
        expect(await ask(port, "hello")).toBe("none\nhello");
        process.signal("SIGTERM");
        (await process.finished())
          .exits(EXIT.ok)
          .stderrMatches(/^s6-tcpserverd: warning: UCSPI_LISTENERS names .*, ignored: \S+\n$/);
      }
    },
  );

  bothWays(
    "the list of further listeners may name the socket on standard input by another number",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await startListed(scene, "5,5");
      expect(await ask(port, "hello")).toBe("none\nhello");
      process.signal("SIGTERM");
      (await process.finished()).exits(EXIT.ok).stderrIs("");
    },
  );
});

describe("limits", () => {
  bothWays("s6-tcpserverd -c above the maximum is the maximum", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startDaemon(scene, "-v 2 -c 99999 -C 99999", ["true"]);
    await ask(port);
    await process.line(/ count 1\/16384$/);
    await process.line(/ status: 0\/16384$/);
  });

  bothWays("s6-tcpserverd -C is no more than -c, and 0 is 1", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startDaemon(scene, "-v 2 -c 3", ["true"]);
    await ask(port);
    await process.line(/ count 1\/3$/);
    const second = await startDaemon(scene, "-v2 -c0 -C0", ["true"]);
    await ask(second.port);
    await second.process.line(/ count 1\/1$/);
  });
});

bothWays(
  "s6-tcpserverd logs nothing at verbosity 0, refusals at 1, all connections at 2",
  async (newScene) => {
    await using scene = await newScene();
    for (const [level, kinds] of [
      [0, []],
      [1, ["reject"]],
      [
        2,
        [
          "starting",
          "status:",
          "accept",
          "status:",
          "reject",
          "end",
          "status:",
          "received",
          "exiting",
        ],
      ],
    ] as const) {
      const { port, process } = await startDaemon(scene, `-v ${level} -C 1`, ECHO);
      await using client = await dial(port);
      await client.line();
      if (level === 2) await process.line(/ accept /);
      expect(await ask(port)).toBe("");
      client.end();
      await client.rest();
      if (level === 2) {
        await process.line(/ end pid /);
        await process.line(/ status: 0\/40$/);
      }
      process.signal("SIGTERM");
      const lines = logOf((await process.finished()).stderr);
      expect(lines.map((line) => line.split(" ")[2])).toEqual(kinds);
    }
  },
);

bothWays(
  "standard output of s6-tcpserverd is closed, and it also works when it was closed before",
  async (newScene) => {
    await using scene = await newScene();
    const started = scene.execute("/bin/sh", [
      "-c",
      `exec ${BINDER} 127.0.0.1 0 ${NAME} -v2 -1 cat >&-`,
    ]);
    const [, port = ""] = await started.line(/ starting - bound to ip 127\.0\.0\.1 port (\d+)$/);
    expect(await ask(Number(port), "x")).toBe("x");
  },
);

bothWays("the listening socket is not given to programs", async (newScene) => {
  await using scene = await newScene();
  const others = "case ${f##*/} in [012]) ;; *) readlink $f ;; esac";
  const look = `for f in /proc/$$/fd/*; do ${others}; done | grep -c "^socket:"`;
  const { port } = await startDaemon(scene, "", ["sh", "-c", look]);
  expect(await ask(port)).toBe("0\n");
});

bothWays("programs that end leave no zombies and no descriptors", async (newScene) => {
  await using scene = await newScene();
  const { port, process } = await startDaemon(scene, "-v 2", ["true"]);
  const count = async (): Promise<string> =>
    (
      await scene.shell(
        `ls /proc/${process.pid}/fd | wc -l; grep -c . /proc/${process.pid}/task/*/children`,
      )
    ).stdout;
  await ask(port);
  await process.line(/ end pid /);
  const before = await count();
  for (let turn = 0; turn < 20; turn += 1) {
    await ask(port);
    await process.line(/ end pid /);
  }
  expect(await count()).toBe(before);
});

test.each([
  [[]],
  [["-v", "x", "cat"]],
  [["-c"]],
  [["--nosuch", "cat"]],
  [[""]],
  [["--drain=x", "cat"]],
  [["--refusals=xml", "cat"]],
])("s6-tcpserverd %j is a usage error", async (words) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words);
  run
    .exits(EXIT.usage)
    .stdoutIs("")
    .stderrMatches(/^s6-tcpserverd: (usage|fatal): /);
});

bothWays("SIGUSR1 ends the server, and opens no port for a debugger", async (newScene) => {
  await using scene = await newScene();
  const { process } = await startDaemon(scene, "", ["true"]);
  process.signal("SIGUSR1");
  (await process.finished()).diesOf("SIGUSR1").stderrIs("");
});
