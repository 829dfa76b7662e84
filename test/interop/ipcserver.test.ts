/**
 * Our local super-server and that of s6: parts of both in one chain, clients of one with servers of the other,
 * and the same scenario run with either, which has to look the same to clients, programs and the log.
 */

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { BIN, newScene, peer } from "../support/scene.ts";
import type { Peer, Scene, SceneProcess } from "../support/scene.ts";
import { askPath, dialPath } from "../ucspi/dial.ts";
import { announcedLocally, logOf } from "../ucspi/servers.ts";
import { original, withoutSuite } from "./support.ts";

/** The commands of s6: those of Debian, or of the build that S6_NETWORKING_BIN names. */
function theirs(name: string): Peer {
  return withoutSuite === "" ? original(name) : peer(name);
}

const server = theirs("s6-ipcserver");
const binder = theirs("s6-ipcserver-socketbinder").path;
const daemon = theirs("s6-ipcserverd").path;
const gate = theirs("s6-ipcserver-access").path;
const client = theirs("s6-ipcclient").path;

/** The commands of s6 find each other by PATH, where they were not built to do otherwise. */
const THEIR_ENVIRONMENT = { PATH: `${dirname(server.path)}:${process.env["PATH"] ?? ""}` };

const VARIABLES = ["sh", "-c", "env | grep -E '^(PROTO|IPCL|IPCR|FOO)' | sort"];
const posix = loadPosix();
const UID = posix.geteuid();
const GID = posix.getegid();

const RULES = {
  "rules/uid/default/allow": "",
  "rules/uid/default/env/FOO": "bar",
  "rules/uid/70007/deny": "",
  "rules/gid/80008/allow": "",
  "rules/gid/80008/env/GONE": "",
};

/** The words of a chain, each name of which is replaced by the path of the command of one suite. */
function wordsOf(names: Readonly<Record<string, string>>, words: readonly string[]): string[] {
  return words.map((word) => names[word] ?? word);
}

const OURS = {
  BINDER: `${BIN}/s6-ipcserver-socketbinder`,
  DAEMON: `${BIN}/s6-ipcserverd`,
  GATE: `${BIN}/s6-ipcserver-access`,
};
const THEIRS = { BINDER: binder, DAEMON: daemon, GATE: gate };

function startChain(scene: Scene, names: Readonly<Record<string, string>>): SceneProcess {
  const chain = ["BINDER", "socket", "DAEMON", "-1", "GATE", "-v0", "-x", "rules.cdb"];
  const [file = "", ...words] = wordsOf(names, [...chain, ...VARIABLES]);
  return scene.execute(file, words);
}

describe.skipIf(server.isMissing)(`parts of both suites in one chain${server.why}`, () => {
  for (const [what, names] of [
    ["the binder", { ...OURS, BINDER: binder }],
    ["the daemon", { ...OURS, DAEMON: daemon }],
    ["the gate", { ...OURS, GATE: gate }],
    ["all but the binder", { ...THEIRS, BINDER: OURS.BINDER }],
    ["all but the daemon", { ...THEIRS, DAEMON: OURS.DAEMON }],
    ["all but the gate", { ...THEIRS, GATE: OURS.GATE }],
  ] as const) {
    test(`parts of both suites in one chain: ${what} of s6, and clients of both`, async () => {
      await using scene = await newScene({ files: RULES });
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(0);
      const { process } = await announcedLocally(scene, startChain(scene, names));
      for (const command of [client, `${BIN}/s6-ipcclient`]) {
        const words = [
          "-p",
          "bound",
          "socket",
          "sh",
          "-c",
          "rm bound; cat <&6; echo $IPCLOCALPATH",
        ];
        const run = await scene.execute(command, words).finished();
        expect(run.exits(EXIT.ok).stdout.split("\n")).toEqual([
          "FOO=bar",
          "IPCLOCALPATH=socket",
          `IPCREMOTEEGID=${GID}`,
          `IPCREMOTEEUID=${UID}`,
          "IPCREMOTEPATH=bound",
          "PROTO=IPC",
          "bound",
          "",
        ]);
      }
      process.signal("SIGTERM");
      (await process.finished()).exits(EXIT.ok);
    });
  }
});

describe.skipIf(server.isMissing)(`both super-servers${server.why}`, () => {
  /** Two clients, one too many, and the end of all of them. */
  async function scenario(scene: Scene, started: SceneProcess): Promise<string[]> {
    const { path, process } = await announcedLocally(scene, started);
    const said: string[] = [];
    await using first = await dialPath(path);
    said.push(await first.line());
    await using second = await dialPath(path);
    said.push(await second.line(), await askPath(path));
    await process.line(/ deny /);
    first.end("one");
    said.push(await first.rest());
    await process.line(/ end /);
    await process.line(/ status: /);
    process.signal("SIGHUP");
    said.push(await second.rest());
    await process.line(/ status: 0\//);
    process.signal("SIGTERM");
    const log = logOf((await process.finished()).exits(EXIT.ok).stderr);
    return [...said, ...log.map((line) => line.replace(/(deny .*\/\d+): .*/, "$1"))];
  }

  test("both super-servers answer, limit and log alike", async () => {
    await using scene = await newScene();
    await using theirScene = await newScene();
    const words = ["-v", "-1", "-C", "2", "socket", "sh", "-c", "echo hello; exec cat"];
    const ours = scene.start("s6-ipcserver", words);
    const other = theirScene.execute(server.path, words, { env: THEIR_ENVIRONMENT });
    expect(await scenario(scene, ours)).toEqual(await scenario(theirScene, other));
  });

  test("both super-servers exclude each other while one of them binds, and ours while it serves", async () => {
    await using scene = await newScene();
    const process = scene.start("s6-ipcserver", ["-1", "socket", "echo", "ours"]);
    const { path } = await announcedLocally(scene, process);
    const stolen = await scene
      .execute(server.path, ["socket", "true"], { env: THEIR_ENVIRONMENT })
      .finished();
    stolen.exits(EXIT.system).stderrMatches(/unable to bind to socket: Device or resource busy\n$/);
    expect(await askPath(path)).toBe("ours\n");
    process.signal("SIGTERM");
    await process.finished();
    const other = scene.execute(server.path, ["-1", "socket", "echo", "theirs"], {
      env: THEIR_ENVIRONMENT,
    });
    await announcedLocally(scene, other);
    const refused = await scene.run("s6-ipcserver", ["socket", "true"]);
    refused.exits(EXIT.system).stderrMatches(/Address already in use \(a process has this socket/);
    expect(await askPath(path)).toBe("theirs\n");
    other.signal("SIGKILL");
    await other.finished();
    const next = scene.start("s6-ipcserver", ["-1", "socket", "echo", "ours again"]);
    await announcedLocally(scene, next);
    expect(await askPath(path)).toBe("ours again\n");
  });

  test("both gates decide alike, by rules that either suite has compiled", async () => {
    await using scene = await newScene({ files: RULES });
    (await scene.run("s6-accessrules-cdb-from-fs", ["ours.cdb", "rules"])).exits(0);
    const compiler = theirs("s6-accessrules-cdb-from-fs").path;
    (await scene.execute(compiler, ["theirs.cdb", "rules"]).finished()).exits(0);
    for (const [uid, gid] of [
      ["1", "1"],
      ["70007", "80008"],
      ["70008", "80008"],
    ]) {
      const env = { PROTO: "IPC", IPCREMOTEEUID: uid, IPCREMOTEEGID: gid, GONE: "here" };
      const told: unknown[] = [];
      for (const file of [gate, OURS.GATE]) {
        for (const rules of [
          ["-i", "rules"],
          ["-x", "ours.cdb"],
          ["-x", "theirs.cdb"],
        ]) {
          const show = ["sh", "-c", "echo ${FOO-unset} ${GONE-unset} ${PROTO-unset}"];
          const words = ["-v2", "-E", ...rules, ...show];
          const { exitCode, stdout, stderr } = await scene.execute(file, words, { env }).finished();
          told.push([exitCode, stdout, stderr.replace(/ pid \d+/, "")]);
        }
      }
      expect(told).toEqual(told.map(() => told[0]));
    }
  });
});

const socat = peer("socat");

describe("the documented examples", () => {
  /** https://skarnet.org/software/s6/s6-ipcserver.html and ipcserver(1) of ucspi-ipc. */
  test.skipIf(socat.isMissing)(
    `the documented examples serve socat, whose lines come back${socat.why}`,
    async () => {
      await using scene = await newScene();
      const process = scene.start("s6-ipcserver", ["-1", "-c", "10", "socket", "cat"]);
      await announcedLocally(scene, process);
      const run = await scene
        .execute(socat.path, ["-", "UNIX-CONNECT:socket"], { input: "hello\n" })
        .finished();
      run.exits(0).stdoutIs("hello\n");
    },
  );

  test.skipIf(socat.isMissing)(
    `a client of ours talks to socat as its server${socat.why}`,
    async () => {
      await using scene = await newScene();
      const listener = scene.execute(socat.path, ["-d", "-d", "UNIX-LISTEN:socket", "EXEC:cat"]);
      await listener.line(/listening on/);
      const words = ["socket", "sh", "-c", "echo hello >&7; head -n 1 <&6"];
      (await scene.run("s6-ipcclient", words)).exits(0).stdoutIs("hello\n");
    },
  );

  const rsync = peer("rsync");

  test.skipIf(rsync.isMissing)(
    `a real daemon is served on a local socket: rsync gets a tree through it${rsync.why}`,
    async () => {
      await using scene = await newScene({
        files: {
          "rsyncd.conf": "use chroot = no\n[module]\n  path = tree\n  uid = 0\n  gid = 0\n",
          "tree/file": "content\n",
          rsh: '#!/bin/sh\nexec s6-ipcclient "$SOCKET" s6-ioconnect\n',
        },
      });
      const config = scene.read("rsyncd.conf").replace("= tree", `= ${scene.path("tree")}`);
      scene.write("rsyncd.conf", config);
      const daemonWords = [rsync.path, "--daemon", "--config=rsyncd.conf"];
      const process = scene.start("s6-ipcserver", ["-1", "socket", ...daemonWords]);
      const { path } = await announcedLocally(scene, process);
      const env = { RSYNC_CONNECT_PROG: scene.path("rsh"), SOCKET: path };
      const words = ["-a", "rsync://localhost/module/", "copy/"];
      (await scene.execute(rsync.path, words, { env }).finished()).exits(0);
      expect(existsSync(scene.path("copy/file"))).toBe(true);
      expect(scene.read("copy/file")).toBe("content\n");
    },
  );
});
