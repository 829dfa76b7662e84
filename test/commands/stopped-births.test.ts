/**
 * A process of the identity that children of a root server get sends SIGSTOP to everything of that
 * identity, all the time. Some of the children are stopped on the way to their program, in memory that
 * they share with the server: that may cost their slots and nothing else.
 */

import { readFileSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { BIRTH_MS_MAX } from "../../src/host/index.ts";
import { isRoot, newScene } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";
import { dial } from "../ucspi/dial.ts";
import { announced } from "../ucspi/servers.ts";
import { detours } from "./detours.ts";

const UNLESS_ROOT = isRoot ? "" : " (skipped: not root)";

/** Of nobody else on this machine. */
const UID = 2_000_070_001;

const ATTACK = `
  process.setgid(${UID});
  process.setuid(${UID});
  console.log("attacking");
  for (;;) try { process.kill(-1, "SIGSTOP"); } catch {}
`;

/** More than a server that kept a fixed number of places for its children ever had. */
const STOPPED_MIN = 33;

const CONNECTIONS = 600;
const AT_A_TIME = 50;

async function startAttack(scene: Scene): Promise<SceneProcess> {
  const attacker = scene.execute(process.execPath, ["-e", ATTACK]);
  await attacker.line(/attacking/);
  return attacker;
}

/** The children of the server that are stopped and still run its own code. */
function stoppedBirths(server: number): number[] {
  const own = readlinkSync(`/proc/${server}/exe`);
  const children = readFileSync(`/proc/${server}/task/${server}/children`, "latin1");
  return children
    .split(" ")
    .filter((pid) => pid !== "" && isStopped(pid) && executableOf(pid) === own)
    .map(Number);
}

function isStopped(pid: string): boolean {
  try {
    return / \(.*\) T /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false; // it has ended meanwhile
  }
}

function executableOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

test.skipIf(!isRoot).each([
  ["that says of each connection whether its program runs", ["-v"]],
  ["that says little", []],
])(
  `children stopped before their program do not stop a server %s${UNLESS_ROOT}`,
  async (_, verbosity) => {
    await using scene = await newScene();
    const limits = ["-c", String(2 * CONNECTIONS), "-C", String(2 * CONNECTIONS)];
    const drop = ["s6-applyuidgid", "-u", String(UID), "-g", String(UID), "-G", "", "sleep", "60"];
    const { port, process: server } = await announced(
      scene.start("s6-tcpserver", ["-1", ...verbosity, ...limits, "127.0.0.1", "0", ...drop], {
        env: detours(scene, "sleep"),
      }),
    );
    const attacker = await startAttack(scene);
    const clients: AsyncDisposable[] = [];
    try {
      while (clients.length < CONNECTIONS) {
        const more = Array.from({ length: AT_A_TIME }, () => dial(port));
        clients.push(...(await Promise.all(more)));
      }
      await expect
        .poll(() => stoppedBirths(server.pid).length, { timeout: 2 * BIRTH_MS_MAX, interval: 50 })
        .toBeGreaterThanOrEqual(STOPPED_MIN);
      attacker.signal("SIGKILL");
      await attacker.ended();
      const pids = stoppedBirths(server.pid);
      expect(pids.length).toBeGreaterThan(0);
      const untold = (): number[] =>
        pids.filter((pid) => !server.output.includes(`child ${pid} was killed before it could`));
      await expect.poll(untold, { timeout: 3 * BIRTH_MS_MAX, interval: 50 }).toEqual([]);
      expect(stoppedBirths(server.pid)).toEqual([]);
      server.signal("SIGTERM");
      await server.ended();
    } finally {
      for (const client of clients) await client[Symbol.asyncDispose]();
    }
  },
  8 * BIRTH_MS_MAX,
);
