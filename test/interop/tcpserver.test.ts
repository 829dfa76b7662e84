/**
 * Our TCP super-server and that of the C suite: parts of both in one chain, and the same scenario run
 * with either, which has to look the same to clients, programs and whoever reads the log.
 */

import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { BIN, bothWays, newScene, peer } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { announced, logOf } from "../ucspi/servers.ts";
import { original, startOf, withoutSuite } from "./support.ts";
import type { Suite } from "./support.ts";

const VARIABLES = ["sh", "-c", "env | grep -E '^(PROTO|TCP|FOO)' | sort"];
const EXEC_FAILED = ": fatal: unable to exec";
const ECHO = ["sh", "-c", "echo $TCPCONNNUM; exec cat"];

/** The text with what differs from run to run in words. */
function normal(text: string, port: number): string {
  return text
    .replaceAll(new RegExp(`\\b${port}\\b`, "g"), "SERVER_PORT")
    .replaceAll(/(TCPREMOTEPORT=)\d+/g, "$1PORT")
    .replaceAll(/\bpid \d+/g, "pid P")
    .replaceAll(/_\d{4,5}\b/g, "_PORT");
}

describe.skipIf(withoutSuite !== "")(`parts of both suites in one chain${withoutSuite}`, () => {
  const binder = original("s6-tcpserver-socketbinder").path;
  const daemon = original("s6-tcpserverd").path;
  const access = original("s6-tcpserver-access").path;
  const rules = { "rules/ip4/127.0.0.1_32/allow": "", "rules/ip4/127.0.0.1_32/env/FOO": "bar" };

  async function expectServed(
    scene: Scene,
    process: SceneProcess,
    isGated: boolean,
  ): Promise<void> {
    const { port } = await announced(process);
    await using client = await dial(port);
    const gate = isGated ? ["FOO=bar"] : [];
    expect((await client.rest()).trim().split("\n")).toEqual([
      ...gate,
      "PROTO=TCP",
      "TCPCONNNUM=0",
      "TCPLOCALIP=127.0.0.1",
      `TCPLOCALPORT=${port}`,
      "TCPREMOTEIP=127.0.0.1",
      `TCPREMOTEPORT=${client.port}`,
    ]);
    if (isGated) expect(await ask(port, "", { from: "127.0.0.2" })).toBe("");
    process.signal("SIGTERM");
    (await process.finished()).exits(EXIT.ok);
    expect(scene.has("nothing")).toBe(false);
  }

  bothWays(
    "s6-tcpserver-socketbinder of the C suite works with our s6-tcpserverd",
    async (newScene) => {
      await using scene = await newScene();
      const words = ["127.0.0.1", "0", `${BIN}/s6-tcpserverd`, "-1", ...VARIABLES];
      await expectServed(scene, scene.execute(binder, words), false);
    },
  );

  bothWays(
    "our s6-tcpserver-socketbinder works with s6-tcpserverd of the C suite",
    async (newScene) => {
      await using scene = await newScene();
      const words = ["127.0.0.1", "0", daemon, "-1", ...VARIABLES];
      await expectServed(scene, scene.start("s6-tcpserver-socketbinder", words), false);
    },
  );

  bothWays("our access control works under s6-tcpserver of the C suite", async (newScene) => {
    await using scene = await newScene({ files: rules });
    const gate = [`${BIN}/s6-tcpserver-access`, "-v0", "-H", "-i", "rules"];
    const words = ["127.0.0.1", "0", daemon, "-1", ...gate, ...VARIABLES];
    await expectServed(scene, scene.execute(binder, words), true);
  });

  bothWays("access control of the C suite works under our s6-tcpserver", async (newScene) => {
    await using scene = await newScene({ files: rules });
    const gate = [access, "-v0", "-H", "-i", "rules"];
    const words = ["-1", "127.0.0.1", "0", ...gate, ...VARIABLES];
    await expectServed(scene, scene.start("s6-tcpserver", words), true);
  });

  bothWays("s6-tcpserver of the C suite finds our parts in PATH, or its own", async (newScene) => {
    await using scene = await newScene();
    const words = ["-1", "127.0.0.1", "0", ...VARIABLES];
    const started = scene.execute(original("s6-tcpserver").path, words);
    await expectServed(scene, started, false);
  });
});

const tcpserver = peer("tcpserver");
describe.skipIf(tcpserver.isMissing)(`tcpserver of ucspi-tcp${tcpserver.why}`, () => {
  bothWays("tcpserver of ucspi-tcp runs our access control", async (newScene) => {
    await using scene = await newScene({
      files: { "rules/ip4/127.0.0.1_32/allow": "", "rules/ip4/127.0.0.1_32/env/FOO": "bar" },
    });
    const gate = ["s6-tcpserver-access", "-v2", "-H", "-l", "me", "-i", "rules"];
    const options = ["-1", "-H", "-R", "-l", "localhost", "127.0.0.1", "0"];
    const process = scene.execute(tcpserver.path, [...options, ...gate, ...VARIABLES]);
    const { port } = await announced(process);
    const text = await ask(port);
    expect(text).toMatch(/^FOO=bar\nPROTO=TCP\nTCPLOCALHOST=me\nTCPLOCALIP=127\.0\.0\.1\n/);
    expect(await ask(port, "", { from: "127.0.0.2" })).toBe("");
    await process.line(/^s6-tcpserver-access: pid \d+: info: deny pid \d+ ip 127\.0\.0\.2$/);
  });
});

/** A scenario: what is started, and what clients and an administrator do to it. */
interface Scenario {
  readonly title: string;
  readonly options?: string;
  readonly ip?: string;
  readonly program: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  /** Lines of a child come in another order than ours, where our server speaks for it. */
  readonly isUnordered?: boolean;
  readonly act: (server: Acting) => Promise<readonly string[]>;
}

interface Acting {
  readonly port: number;
  readonly process: SceneProcess;
}

const GATE = ["s6-tcpserver-access", "-v2", "-H"];
const RULES = {
  "rules/ip4/127.0.0.1_32/allow": "",
  "rules/ip4/127.0.0.1_32/env/FOO": "bar",
  "rules/ip4/127.0.0.3_32/allow": "",
  "rules/ip4/127.0.0.3_32/exec": 'sh -c "echo script of $TCPREMOTEIP"',
  "rules/ip4/127.0.0.4_32/deny": "",
};

const idle = / status: 0\//;

/** Ask from each of these addresses in turn, and wait for the account of each. */
async function askInTurn({ port, process }: Acting, ...from: string[]): Promise<string[]> {
  const answers: string[] = [];
  for (const address of from) {
    answers.push(await ask(port, "", { from: address }));
    await process.line(/ end pid /);
    await process.line(idle);
  }
  return answers;
}

const SCENARIOS: readonly Scenario[] = [
  {
    title: "one client after the other",
    options: "-v",
    program: VARIABLES,
    act: (server) => askInTurn(server, "127.0.0.1", "127.0.0.9", "127.0.0.1"),
  },
  {
    title: "IPv6",
    options: "-v -c 5",
    ip: "::1",
    program: VARIABLES,
    async act({ port, process }) {
      const answer = await ask(port, "", { host: "::1" });
      await process.line(/ end pid /);
      await process.line(idle);
      return [answer];
    },
  },
  {
    title: "more clients than one address may have",
    options: "-v -c 3 -C 2",
    program: ECHO,
    async act({ port, process }) {
      await using first = await dial(port);
      const seen = [await first.line()];
      await using second = await dial(port);
      seen.push(await second.line(), await ask(port), await ask(port));
      for (const client of [first, second]) {
        client.end("bye\n");
        seen.push(await client.rest());
        await process.line(/ end pid /);
      }
      await process.line(idle);
      return seen;
    },
  },
  {
    title: "the same without -v",
    options: "-C 1",
    program: ECHO,
    async act({ port }) {
      await using client = await dial(port);
      const seen = [await client.line(), await ask(port)];
      client.end();
      return [...seen, await client.rest()];
    },
  },
  {
    title: "the same with -q",
    options: "-q -C 1",
    program: ECHO,
    async act({ port }) {
      await using client = await dial(port);
      const seen = [await client.line(), await ask(port)];
      client.end();
      return [...seen, await client.rest()];
    },
  },
  {
    title: "a program that is killed, and one that fails",
    options: "-v",
    program: ["sh", "-c", "test $TCPREMOTEIP = 127.0.0.1 && kill -9 $$; exit 37"],
    act: (server) => askInTurn(server, "127.0.0.1", "127.0.0.2"),
  },
  {
    title: "SIGHUP",
    options: "-v",
    program: ECHO,
    async act({ port, process }) {
      await using client = await dial(port);
      const seen = [await client.line()];
      process.signal("SIGHUP");
      seen.push(await client.rest());
      await process.line(/ end pid /);
      await process.line(idle);
      return seen;
    },
  },
  ...(["SIGQUIT", "SIGABRT"] as const).map((signal) => ({
    title: signal,
    options: "-v",
    program: ECHO,
    async act({ port, process }: Acting) {
      await using client = await dial(port);
      const seen = [await client.line()];
      process.signal(signal);
      return [...seen, await client.rest()];
    },
  })),
  {
    title: "a program that is missing",
    program: ["./missing"],
    async act({ port, process }) {
      const answer = await ask(port);
      await process.line(/unable to spawn/);
      return [answer];
    },
  },
  ...(["-i rules", "-x rules.cdb"] as const).map((option) => ({
    title: `access control with ${option}`,
    options: "-v",
    program: [...GATE, ...option.split(" "), ...VARIABLES],
    files: RULES,
    isUnordered: true,
    act: (server: Acting) => askInTurn(server, "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"),
  })),
  {
    title: "a banner and local names",
    options: "-v",
    program: [...GATE, "-B", "hello\n", "-l", "me", ...VARIABLES],
    isUnordered: true,
    act: (server) => askInTurn(server, "127.0.0.1"),
  },
  {
    title: "rules that are missing",
    options: "-v",
    program: [...GATE, "-i", "empty", "cat"],
    files: { "empty/": "" },
    isUnordered: true,
    act: (server) => askInTurn(server, "127.0.0.1"),
  },
];

describe.skipIf(withoutSuite !== "")(`the same with either suite${withoutSuite}`, () => {
  async function play(scenario: Scenario, suite: Suite, way: "fused" | "exec"): Promise<unknown> {
    const { options = "", ip = "127.0.0.1", program, files = {}, isUnordered = false } = scenario;
    await using scene = await newScene({ files, way });
    if (files === RULES) {
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
    }
    const words = ["-1", ...options.split(" ").filter(Boolean), ip, "0", ...program];
    const server = await announced(startOf(suite, scene, "s6-tcpserver", words));
    const answers = await scenario.act(server);
    server.process.signal("SIGTERM");
    const run = await server.process.finished();
    const log = logOf(normal(run.stderr, server.port));
    return {
      exitCode: run.exitCode,
      answers: answers.map((text) => normal(text, server.port)),
      log: isUnordered ? log.sort() : log,
    };
  }

  test.each(SCENARIOS)("$title has the same result in either suite", async (scenario) => {
    const theirs = await play(scenario, "C", "fused");
    expect(await play(scenario, "ours", "fused")).toEqual(theirs);
    expect(await play(scenario, "ours", "exec")).toEqual(theirs);
  });
});

describe.skipIf(withoutSuite !== "")(`one command of either suite${withoutSuite}`, () => {
  const client = {
    PROTO: "TCP",
    TCPLOCALIP: "192.0.2.1",
    TCPLOCALPORT: "80",
    TCPREMOTEIP: "192.0.2.7",
    TCPREMOTEPORT: "49152",
    TCPREMOTEHOST: "stale",
  };
  const show = [
    "sh",
    "-c",
    "echo ${TCPREMOTEHOST-none} ${TCPLOCALHOST-none} ${TCPREMOTEINFO-none}",
  ];
  const ip6 = { TCPREMOTEIP: "2001:DB8::7", TCPLOCALIP: "::1" };

  test.each([
    ["s6-tcpserver-access", ["-H", ...show], client],
    ["s6-tcpserver-access", ["-H", "-l", "me", ...show], client],
    ["s6-tcpserver-access", ["-H", "-v", "0", ...show], client],
    ["s6-tcpserver-access", ["-H", "-v2", ...show], { ...client, ...ip6 }],
    ["s6-tcpserver-access", ["-H", "-B", "a", "-B", "b", "true"], client],
    ["s6-tcpserver-access", ["-HdDdWwW", "true"], client],
    ["s6-tcpserver-access", ["-H", "--", "true"], client],
    ["s6-tcpserver-access", ["-H", "true"], {}],
    ["s6-tcpserver-access", ["-H", "true"], { PROTO: "TCP" }],
    ["s6-tcpserver-access", ["-H", "true"], { ...client, PROTO: "SSL" }],
    ["s6-tcpserver-access", ["-H", "true"], { ...client, TCPREMOTEPORT: "x" }],
    ["s6-tcpserver-access", ["-H", "true"], { ...client, TCPLOCALIP: "1.2.3" }],
    ["s6-tcpserver-access", ["-H", "-B", "x".repeat(513), "true"], client],
    ["s6-tcpserver-access", ["-H", "./missing"], client],
    ["s6-tcpserver-access", ["-H", "/etc/passwd"], client],
    [
      "s6-tcpserver-access",
      ["-r", "-H", ...show],
      { ...client, TCPREMOTEIP: "127.0.0.1", TCPLOCALIP: "127.0.0.1" },
    ],
    ["s6-tcpserver-access", ["-v2", "-H", "-i", "empty", "true"], client],
    ["s6-tcpserver-socketbinder", ["192.0.2.1", "80", "true"], {}],
    ["s6-tcpserver-socketbinder", ["127.0.0.1", "0", "./missing"], {}],
    ["s6-tcpserver-socketbinder", ["127.0.0.1", "0", "/etc/passwd"], {}],
    [
      "s6-tcpserver-socketbinder",
      ["-m", "-b0", "127.0.0.1", "0", "readlink", "/proc/self/fd/2"],
      {},
    ],
    ["s6-tcpserverd", ["cat"], {}],
    ["s6-getservbyname", ["25", "bogus"], {}],
    ["s6-getservbyname", ["smtp", "tcp"], {}],
    ["s6-getservbyname", ["nosuch", "tcp"], {}],
  ])("%s %j does the same in either suite", async (command, words, env) => {
    async function play(suite: Suite): Promise<unknown> {
      await using scene = await newScene({ files: { "empty/": "" } });
      const run = await startOf(suite, scene, command, words, { env }).finished();
      // Theirs has its pid in what it says of an exec that failed.
      const stderr = normal(run.stderr, 0).replace(": pid P: fatal: unable to exec", EXEC_FAILED);
      return { exitCode: run.exitCode, stdout: run.stdout.replace(/\d{4,}/g, "N"), stderr };
    }
    expect(await play("ours")).toEqual(await play("C"));
  });

  test.each([
    ["s6-tcpserver", []],
    ["s6-tcpserver", ["127.0.0.1", "0"]],
    ["s6-tcpserver", ["-c", "x", "127.0.0.1", "0", "true"]],
    ["s6-tcpserver", ["--verbose", "127.0.0.1", "0", "true"]],
    ["s6-tcpserver-socketbinder", ["127.0.0", "80", "true"]],
    ["s6-tcpserver-socketbinder", ["127.0.0.1", "65536", "true"]],
    ["s6-tcpserver-socketbinder", ["-b", "x", "127.0.0.1", "0", "true"]],
    ["s6-tcpserver-socketbinder", ["--nosuch", "127.0.0.1", "0", "true"]],
    ["s6-tcpserverd", []],
    ["s6-tcpserverd", ["-v", "x", "true"]],
    ["s6-tcpserver-access", []],
    ["s6-tcpserver-access", ["-t", "x", "true"]],
    ["s6-getservbyname", ["smtp"]],
  ])("%s %j is a usage error in either suite", async (command, words) => {
    for (const suite of ["ours", "C"] as const) {
      await using scene = await newScene();
      (await startOf(suite, scene, command, words).finished()).exits(EXIT.usage);
    }
  });

  test("the descriptors, limits and signals of a program are the same under either suite", async () => {
    const look =
      "for f in /proc/$$/fd/*; do echo ${f##*/}; done; cat /proc/self/limits; grep ^Sig.*[nkt]: /proc/self/status; cat /proc/$$/fdinfo/0 | grep flags";
    const seen: string[] = [];
    for (const suite of ["ours", "C"] as const) {
      await using scene = await newScene();
      const words = ["-1", "127.0.0.1", "0", "sh", "-c", look];
      const { port } = await announced(startOf(suite, scene, "s6-tcpserver", words));
      seen.push((await ask(port)).replaceAll(/SigQ:.*\n/g, ""));
    }
    // Their libc leaves two signals of its own ignored.
    expect(seen[0]).toBe(
      seen[1]?.replace("SigIgn:\t0000000180000000", `SigIgn:\t${"0".repeat(16)}`),
    );
  });
});
