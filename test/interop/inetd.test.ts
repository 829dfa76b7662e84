/**
 * Daemons that were made for inetd, and the clients that everybody has, with our super-server and
 * our access control between them.
 */

import { existsSync, mkdirSync } from "node:fs";
import { userInfo } from "node:os";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { isRoot, newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

/** Notes who came, and goes on as the daemon. */
const RECORD =
  '#!/bin/sh\nenv | grep -E "^(TCPREMOTE|TCPLOCAL|PROTO|FROM)" | sort >seen\nexec "$@"\n';

interface Gated {
  readonly scene: Scene;
  readonly port: number;
}

/** A daemon that admits 127.0.0.1 alone. */
async function serve(scene: Scene, daemon: readonly string[]): Promise<Gated> {
  scene.write("record", RECORD);
  scene.write("rules/ip4/127.0.0.1_32/allow", "");
  scene.write("rules/ip4/127.0.0.1_32/env/FROM", "the rules");
  (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
  const access = ["s6-tcpserver-access", "-v2", "-H", "-l", "here", "-x", "rules.cdb"];
  const program = [...access, "--", "./record", ...daemon];
  const { port } = await startServer(scene, "", program);
  return { scene, port };
}

function client(scene: Scene, path: string, words: readonly string[]): Promise<Run> {
  const env = { HOME: scene.directory, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
  return scene.execute(path, words, { env }).finished();
}

/** The environment of the daemon for its last client. */
function expectSeen({ scene, port }: Gated): void {
  expect(scene.read("seen").replace(/^(TCPREMOTEPORT=)\d+$/m, "$1PORT")).toBe(
    [
      "FROM=the rules",
      "PROTO=TCP",
      "TCPLOCALHOST=here",
      "TCPLOCALIP=127.0.0.1",
      `TCPLOCALPORT=${port}`,
      "TCPREMOTEIP=127.0.0.1",
      "TCPREMOTEPORT=PORT\n",
    ].join("\n"),
  );
}

const git = peer("git");
describe.skipIf(git.isMissing)(`git daemon --inetd${git.why}`, () => {
  test("git daemon --inetd is cloned from, and not by clients that are refused", async () => {
    await using scene = await newScene({ files: { "repos/demo/file": "content\n" } });
    const who = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    for (const words of [
      ["init", "-q"],
      ["add", "file"],
      [...who, "commit", "-q", "-m", "first"],
    ]) {
      (await client(scene, git.path, ["-C", "repos/demo", ...words])).exits(0);
    }
    const base = `--base-path=${scene.path("repos")}`;
    const daemon = [git.path, "daemon", "--inetd", "--export-all", base];
    const gated = await serve(scene, daemon);
    const url = `git://127.0.0.1:${gated.port}/demo`;
    (await client(scene, git.path, ["clone", "-q", url, "copy"])).exits(0);
    expect(scene.read("copy/file")).toBe("content\n");
    expectSeen(gated);
    scene.write("seen", "");
    const request = "git-upload-pack /demo\0host=x\0";
    const framed = `${(request.length + 4).toString(16).padStart(4, "0")}${request}`;
    expect(await ask(gated.port, framed, { from: "127.0.0.2" })).toBe("");
    expect(scene.read("seen")).toBe("");
  });
});

const rsync = peer("rsync");
describe.skipIf(rsync.isMissing)(`rsync --daemon${rsync.why}`, () => {
  test("rsync --daemon is copied from, and not by clients that are refused", async () => {
    const identity = isRoot ? "uid = 0\ngid = 0\n" : "";
    const big = "x".repeat(1 << 20);
    await using scene = await newScene({ files: { "files/a": "a\n", "files/b/big": big } });
    const config = `use chroot = no\n${identity}[files]\npath = ${scene.path("files")}\nread only = yes\n`;
    scene.write("rsyncd.conf", config);
    const daemon = [rsync.path, "--daemon", `--config=${scene.path("rsyncd.conf")}`];
    const gated = await serve(scene, daemon);
    const url = `rsync://127.0.0.1:${gated.port}/files/`;
    (await client(scene, rsync.path, ["-r", url, "copy/"])).exits(0);
    expect(scene.read("copy/b/big")).toBe(big);
    expectSeen(gated);
    scene.write("seen", "");
    const refused = await client(scene, rsync.path, ["-r", "--address=127.0.0.2", url, "other/"]);
    expect(refused.exitCode).not.toBe(0);
    expect([scene.read("seen"), scene.has("other/a")]).toEqual(["", false]);
  });
});

const sshd = peer("sshd");
const ssh = peer("ssh");
const keygen = peer("ssh-keygen");
const sshProblem = sshd.why || ssh.why || keygen.why || separationProblem();

/** sshd insists on an empty directory of root, which boot scripts usually make. */
function separationProblem(): string {
  if (!isRoot) return " (skipped: not root)";
  if (!existsSync("/run/sshd")) mkdirSync("/run/sshd", { mode: 0o755 });
  return "";
}

describe.skipIf(sshProblem !== "")(`sshd -i${sshProblem}`, () => {
  test("sshd -i is logged in to, and not by clients that are refused", async () => {
    await using scene = await newScene();
    for (const key of ["host", "user"]) {
      const words = ["-q", "-t", "ed25519", "-N", "", "-f", scene.path(key)];
      (await client(scene, keygen.path, words)).exits(0);
    }
    const settings = {
      HostKey: scene.path("host"),
      AuthorizedKeysFile: scene.path("user.pub"),
      PidFile: "none",
      StrictModes: "no",
      UsePAM: "no",
      PermitRootLogin: "prohibit-password",
    };
    const config = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
    scene.write("sshd_config", config.join(""));
    const gated = await serve(scene, [sshd.path, "-i", "-f", scene.path("sshd_config")]);
    const words = [
      ...["-F", "none", "-p", String(gated.port), "-i", scene.path("user"), "-o", "BatchMode=yes"],
      ...["-o", "StrictHostKeyChecking=accept-new"],
      ...["-o", `UserKnownHostsFile=${scene.path("known")}`],
    ];
    const command = [`${userInfo().username}@127.0.0.1`, "echo in; cat; exit 7"];
    const env = { HOME: scene.directory };
    const run = await scene
      .execute(ssh.path, [...words, ...command], { env, input: "sent\n" })
      .finished();
    run.exits(7).stdoutIs("in\nsent\n");
    expectSeen(gated);
    scene.write("seen", "");
    const refused = await client(scene, ssh.path, [...words, "-b", "127.0.0.2", ...command]);
    refused.exits(255);
    expect(scene.read("seen")).toBe("");
  });
});

const busybox = peer("busybox");
const curl = peer("curl");
const webProblem = busybox.why || curl.why;

describe.skipIf(webProblem !== "")(`busybox httpd -i${webProblem}`, () => {
  test("busybox httpd -i is read from, and not by clients that are refused", async () => {
    await using scene = await newScene({ files: { "www/index.html": "<p>hello</p>\n" } });
    const gated = await serve(scene, [busybox.path, "httpd", "-i", "-h", scene.path("www")]);
    const url = `http://127.0.0.1:${gated.port}/`;
    const run = await client(scene, curl.path, ["-sS", "--noproxy", "*", url]);
    run.exits(0).stdoutIs("<p>hello</p>\n");
    expectSeen(gated);
    scene.write("seen", "");
    const words = ["-sS", "--noproxy", "*", "--interface", "127.0.0.2", url];
    const refused = await client(scene, curl.path, words);
    // Nothing came: an empty reply, or a reset because the request had not been read.
    expect([52, 56]).toContain(refused.exitCode);
    refused.stdoutIs("");
    expect(scene.read("seen")).toBe("");
  });

  test("busybox httpd -i serves many readers at a time", async () => {
    const page = "x".repeat(200_000);
    await using scene = await newScene({ files: { "www/index.html": page } });
    const gated = await serve(scene, [busybox.path, "httpd", "-i", "-h", scene.path("www")]);
    const url = `http://127.0.0.1:${gated.port}/`;
    const parallel = ["-sS", "--noproxy", "*", "-Z", "--parallel-max", "20"];
    const urls = Array.from({ length: 60 }, () => url);
    const run = await client(scene, curl.path, [...parallel, ...urls]);
    run.exits(0);
    expect(run.stdout.length).toBe(60 * page.length);
  });
});
