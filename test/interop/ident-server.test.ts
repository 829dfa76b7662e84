/**
 * s6-ident-server asked by others, behind super-servers of others, and against oidentd, question by
 * question.
 */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { parseIdentReply } from "../../src/ident/index.ts";
import { connectAs, identAddress } from "../support/ident.ts";
import { BIN, bothWays, newScene, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { announced, startServer } from "../ucspi/servers.ts";
import { oidentd, withoutRoot } from "./ident.ts";
import { startOf, withoutSuite } from "./support.ts";
import type { Suite } from "./support.ts";

const NAME = "s6-ident-server";
const HERE = "127.0.0.1";
const DAEMON = 1;

const SUITES: readonly Suite[] = ["ours", "C"];

/** Tells who is said to have connected. */
const TOLD = ["sh", "-c", 'echo "told ${TCPREMOTEINFO-nothing}" >&2; sleep 60'];

const tcpserver = peer("tcpserver");
const bash = peer("bash");

/** Start our responder on the port of IDENT, and have `daemon` connect from its address to a port here. */
async function serveAndConnect(
  scene: Scene,
  port: number,
  options: readonly string[] = [],
): Promise<{ readonly ip: string; readonly local: number }> {
  const ip = identAddress();
  const words = ["-1", "-q", ip, "113", NAME, ...options];
  await announced(scene.start("s6-tcpserver", words));
  const { local } = await connectAs(scene, DAEMON, { port, from: ip });
  return { ip, local };
}

describe.skipIf(withoutRoot !== "")(`a client that asks for itself${withoutRoot}`, () => {
  /** Ask with an s6-ident-client about a connection of `daemon`. */
  async function expectToldTo(
    suite: Suite,
    scene: Scene,
    options: readonly string[],
    expected: { readonly exitCode: number; readonly stdout?: RegExp; readonly stderr?: RegExp },
  ): Promise<void> {
    const { stdout = /^$/, stderr = /^$/ } = expected;
    const { port } = await startServer(scene, "-q", ["sleep", "60"]);
    const { ip, local } = await serveAndConnect(scene, port, options);
    const words = ["-t", "10000", ip, String(local), HERE, String(port)];
    const run = await startOf(suite, scene, "s6-ident-client", words).finished();
    run.exits(expected.exitCode).stdoutMatches(stdout).stderrMatches(stderr);
  }

  const HIDDEN = /identification denied/;

  for (const suite of SUITES) {
    const why = suite === "C" ? withoutSuite : "";
    const known = { exitCode: EXIT.ok };

    test.skipIf(why !== "")(`s6-ident-client, ${suite}, is told its own user${why}`, async () => {
      await using scene = await newScene({ files: { secret: "0123456789abcdef" } });
      for (const [options, expected] of [
        [[], { ...known, stdout: /^daemon\r?\n$/ }],
        [["--uid"], { ...known, stdout: /^1\r?\n$/ }],
        [["--hash=secret"], { ...known, stdout: /^[0-9a-f]{32}\r?\n$/ }],
        [["--name=so me:one"], { ...known, stdout: /^so me:one\r?\n$/ }],
        [["--hidden"], { exitCode: EXIT.refused, stderr: HIDDEN }],
      ] as const) {
        await expectToldTo(suite, scene, options, expected);
      }
    });
  }

  const whyNoBash = bash.why;
  test.skipIf(bash.isMissing)(
    `bash is told its own user, with nothing but a redirection${whyNoBash}`,
    async () => {
      await using scene = await newScene();
      const { port } = await startServer(scene, "-q", ["sleep", "60"]);
      const { ip, local } = await serveAndConnect(scene, port);
      const script = `exec 3<>/dev/tcp/${ip}/113; printf '%s\\r\\n' '${local} , ${port}' >&3; head -n 1 <&3`;
      const run = await scene.execute(bash.path, ["-c", script]).finished();
      run.exits(0).stdoutIs(`${local} , ${port} : USERID : UNIX : daemon\r\n`);
    },
  );
});

describe.skipIf(withoutRoot !== "")(`a server that asks about its clients${withoutRoot}`, () => {
  test.skipIf(tcpserver.isMissing)(
    `tcpserver -r of ucspi-tcp learns the user of its client${tcpserver.why}`,
    async () => {
      await using scene = await newScene();
      const words = ["-1", "-q", "-H", "-r", "-l", "here", HERE, "0", ...TOLD];
      const { process, port } = await announced(scene.execute(tcpserver.path, words));
      await serveAndConnect(scene, port);
      await process.line(/^told daemon$/);
    },
  );

  for (const suite of SUITES) {
    const why = suite === "C" ? withoutSuite : "";
    test.skipIf(why !== "")(
      `s6-tcpserver-access -r, ${suite}, learns the user of its client${why}`,
      async () => {
        await using scene = await newScene();
        const access = ["s6-tcpserver-access", "-v0", "-H", "-r", ...TOLD];
        const started = startOf(suite, scene, "s6-tcpserver", ["-1", "-q", HERE, "0", ...access]);
        const { process, port } = await announced(started);
        await serveAndConnect(scene, port);
        // The original has the CR in the name.
        await process.line(suite === "C" ? /^told daemon\r$/ : /^told daemon$/);
      },
    );
  }
});

describe("behind a super-server of others", () => {
  async function expectAnswers(port: number): Promise<void> {
    await using other = await dial(port);
    const about = `${port} , ${other.port}`;
    const reply = await ask(port, `${about}\r\n1 , 2\r\n`);
    expect(reply.replace(/USERID : UNIX : .+(?=\r)/, "USERID")).toBe(
      `${about} : USERID\r\n1 , 2 : ERROR : NO-USER\r\n`,
    );
  }

  test.skipIf(withoutSuite !== "")(
    `s6-ident-server answers behind s6-tcpserver of the C suite${withoutSuite}`,
    async () => {
      await using scene = await newScene();
      const words = ["-1", "-q", HERE, "0", join(BIN, NAME)];
      await expectAnswers((await announced(startOf("C", scene, "s6-tcpserver", words))).port);
    },
  );

  test.skipIf(tcpserver.isMissing)(
    `s6-ident-server answers behind tcpserver of ucspi-tcp${tcpserver.why}`,
    async () => {
      await using scene = await newScene();
      const words = ["-1", "-q", "-H", "-R", "-l", "here", HERE, "0", join(BIN, NAME)];
      await expectAnswers((await announced(scene.execute(tcpserver.path, words))).port);
    },
  );
});

describe.skipIf(oidentd.isMissing)(`oidentd${oidentd.why}`, () => {
  /** The answer of a server to a query; the query itself, if it does not parse. */
  async function answerOf(port: number, host: string, ports: readonly [number, number]) {
    const [remote, local] = ports;
    const line = await ask(port, `${remote} , ${local}\r\n`, { host });
    return parseIdentReply(Buffer.from(line.trimEnd(), "latin1"), { remote, local });
  }

  bothWays("oidentd and s6-ident-server give the same answers", async (newScene) => {
    await using scene = await newScene({ files: { "oidentd.conf": "" } });
    const kinds = new Set<string>();
    for (const host of [HERE, "::1"]) {
      const theirWords = [oidentd.path, "-I", "-S", "-C", scene.path("oidentd.conf")];
      const theirs = await startServer(scene, "-q", theirWords, { ip: host });
      const ours = await startServer(scene, "-q", [NAME], { ip: host });
      await using client = await dial(ours.port, { host });
      for (const ports of [
        [client.port, ours.port],
        [ours.port, client.port],
        [client.port, theirs.port],
        [1, ours.port],
        [ours.port, 0],
        [0, 0],
        [65_536, 1],
        [1, 65_535],
      ] as const) {
        const [expected, answer] = await Promise.all([
          answerOf(theirs.port, host, ports),
          answerOf(ours.port, host, ports),
        ]);
        expect(answer, `${ports.join(" , ")} at ${host}`).toEqual(expected);
        kinds.add(answer.kind);
      }
    }
    expect(kinds).toEqual(new Set(["user", "error"]));
  });
});
