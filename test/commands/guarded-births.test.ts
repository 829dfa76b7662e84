/**
 * A child has the identity that its program is to have while it still shares the memory of a root server.
 * Other processes of that identity must not read that memory, nor trace the child or the server.
 */

import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { HELD_OPEN, isRoot, newScene, ROOT } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { announced } from "../ucspi/servers.ts";
import { detours } from "./detours.ts";

/** Of nobody else on this machine. */
const UID = 2_000_070_002;

const CONNECTIONS = 200;
const AT_A_TIME = 20;

const why = !isRoot
  ? " (skipped: not root)"
  : spawnSync("cc", ["--version"]).status === 0
    ? letsAnyoneTrace()
    : " (skipped: no C compiler)";

/** fs.suid_dumpable=1 lets a user trace whatever has become that user: of every program. */
function letsAnyoneTrace(): string {
  const mode = readFileSync("/proc/sys/fs/suid_dumpable", "latin1").trim();
  return mode === "1" ? " (skipped: fs.suid_dumpable is 1)" : "";
}

test.skipIf(why !== "")(
  `another process of a program's identity gets no access to the server through its children${why}`,
  async () => {
    await using scene = await newScene();
    const intruder = scene.path("intruder");
    const source = `${ROOT}/test/fixtures/posix/intruder.c`;
    expect(spawnSync("cc", ["-o", intruder, source], { encoding: "utf8" }).stderr).toBe("");
    const drop = ["s6-applyuidgid", "-u", String(UID), "-g", String(UID), "-G", "", "sleep", "0"];
    const { port, process: server } = await announced(
      scene.start("s6-tcpserver", ["-1", "-c", "100", "-C", "100", "127.0.0.1", "0", ...drop], {
        env: detours(scene, "sleep"),
      }),
    );
    const executable = readlinkSync(`/proc/${server.pid}/exe`);
    const intrusion = scene.execute(intruder, [String(UID), String(server.pid), executable], {
      input: HELD_OPEN,
    });
    await intrusion.line(/trying/);
    for (let served = 0; served < CONNECTIONS; served += AT_A_TIME) {
      await Promise.all(Array.from({ length: AT_A_TIME }, () => ask(port)));
    }
    intrusion.endInput();
    const { stdout } = await intrusion.finished();
    expect(stdout).toMatch(/^trying\ntried [1-9]\d* times\n$/);
  },
  60_000,
);
