/** Every command that lasts reaps the children that it has got from others. */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { HELD_OPEN, newScene } from "../support/scene.ts";
import { childrenOf, until } from "../tls/processes.ts";

/** A command line after `exec`; what it reads is held open, and its network never says anything. */
const LASTING: readonly (readonly [string, string])[] = [
  ["s6-tcpserver", "s6-tcpserver 127.0.0.1 0 true"],
  ["s6-taiclockd", "s6-taiclockd -i 127.0.0.1 -p 0"],
  ["s6-ioconnect", "s6-ioconnect -r 3 -w 4 3<&0 4>&1"],
  ["s6-fghack", "s6-fghack cat"],
  ["ucspi-tls-engine", "ucspi-tls-engine"],
  ["s6-tlsd-io", "s6-tlsd-io 3 4 3<&0 4>&1"],
  ["s6-tlsc-io", "s6-tlsc-io 3 4 3<&0 4>&1"],
];

test.each(LASTING)("%s reaps a child from before its exec", async (_, command) => {
  await using scene = await newScene();
  const { serverEnvironment, clientEnvironment } = makeCertificates(scene.directory);
  const script = `sleep 600 & echo "child $!"; exec ${command}`;
  const lasting = scene.execute("/bin/sh", ["-c", script], {
    input: HELD_OPEN,
    env: { ...serverEnvironment, ...clientEnvironment },
  });
  const [, pid = ""] = await lasting.line(/^child (\d+)$/);
  process.kill(Number(pid), "SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`));
  expect(existsSync(`/proc/${lasting.pid}`)).toBe(true);
  expect(lasting.output).not.toMatch(/fatal/);
});

const canUnshare = spawnSync("unshare", ["-pf", "--mount-proc", "true"]).status === 0;
const NO_NAMESPACES = canUnshare ? "" : " (skipped: no right to make pid namespaces)";

/** The process called `sleep` among the children of another. */
function sleeperBelow(pid: number): number | undefined {
  return childrenOf(pid).find((child) => nameOf(child) === "sleep");
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return ""; // it has just ended
  }
}

test.skipIf(!canUnshare).each(LASTING)(
  `%s reaps orphans as pid 1${NO_NAMESPACES}`,
  async (_, command) => {
    await using scene = await newScene();
    const { serverEnvironment, clientEnvironment } = makeCertificates(scene.directory);
    const words = ["-pf", "--mount-proc", "sh", "-c", `(sleep 600 &); exec ${command}`];
    const unshare = scene.execute("unshare", words, {
      input: HELD_OPEN,
      env: { ...serverEnvironment, ...clientEnvironment },
    });
    let orphan: number | undefined;
    await until(() => {
      const [init] = childrenOf(unshare.pid);
      orphan = init === undefined ? undefined : sleeperBelow(init);
      return orphan !== undefined;
    });
    process.kill(orphan ?? 0, "SIGKILL");
    await until(() => !existsSync(`/proc/${orphan}`));
    expect(childrenOf(unshare.pid)).toHaveLength(1);
    expect(unshare.output).not.toMatch(/fatal/);
  },
);
