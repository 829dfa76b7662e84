/** Programs that only send: nothing of theirs is lost to a slow program, though they close at once. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { newTlsScene, startTlsServer } from "./tls-peers.ts";

/** Reads nothing until the test says so. */
const SLOW = [
  "sh",
  "-c",
  'echo ready >&2; read -r _ <go; cat >came; echo "came $(wc -c <came)" >&2',
];

const openssl = peer("openssl");
const rsyslogd = peer("rsyslogd");

test.skipIf(openssl.isMissing)(
  `openssl s_client that closes at once loses nothing${openssl.why}`,
  async () => {
    await using tls = await newTlsScene({ sent: "0123456789".repeat(10_000) });
    const { scene } = tls;
    await scene.shell("mkfifo go");
    const { port, process } = await startTlsServer(tls, "", SLOW);
    await scene.shell(`openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:${port} <sent`);
    await scene.shell("echo >go");
    await process.line(/^came 100000$/);
    expect(scene.read("came")).toBe("0123456789".repeat(10_000));
  },
);

const LINES = Array.from({ length: 1000 }, (_, at) => `${at} ${"x".repeat(70)}`);

test.skipIf(rsyslogd.isMissing)(
  `rsyslog that is stopped loses no line that it has sent${rsyslogd.why}`,
  async () => {
    await using tls = await newTlsScene({ lines: LINES.map((line) => `${line}\n`).join("") });
    const { scene, pki } = tls;
    await scene.shell("mkfifo go");
    const { port, process } = await startTlsServer(tls, "", SLOW);
    const configuration = `
    global(workDirectory="${scene.directory}" DefaultNetstreamDriver="ossl"
      DefaultNetstreamDriverCAFile="${pki.caFile}")
    module(load="imfile" mode="polling" PollingInterval="1")
    main_queue(queue.type="direct")
    input(type="imfile" File="${scene.path("lines")}" Tag="test")
    action(type="omfwd" target="127.0.0.1" port="${port}" protocol="tcp" queue.type="direct"
      StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="anon")`;
    scene.write("rsyslog.conf", configuration);
    const words = ["-n", "-i", scene.path("rsyslog.pid"), "-f", scene.path("rsyslog.conf")];
    const sender = scene.execute(rsyslogd.path, words);
    await process.line(/^ready$/);
    await hasRead(sender.pid, scene.path("lines"));
    sender.signal("SIGTERM");
    await scene.shell("echo >go"); // it waits for the end of the other direction
    await process.line(/^came \d+$/);
    await sender.finished();
    expect(linesOf(scene)).toEqual(LINES);
  },
);

/** A queue that is direct has sent a line before the next is read. */
async function hasRead(pid: number, path: string): Promise<void> {
  const size = readFileSync(path).length;
  const positions = (): number[] =>
    readdirSync(`/proc/${pid}/fd`)
      .filter((fd) => isFile(`/proc/${pid}/fd/${fd}`, path))
      .map((fd) => /pos:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1")))
      .map((match) => Number(match?.[1]));
  while (!positions().includes(size)) await delay(20);
}

function isFile(link: string, path: string): boolean {
  try {
    return readlinkSync(link) === path;
  } catch {
    return false; // it was closed meanwhile
  }
}

/** What was in the file, without the header that rsyslog puts before each line. */
function linesOf(scene: Scene): string[] {
  return scene
    .read("came")
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^.*? test /, ""));
}
