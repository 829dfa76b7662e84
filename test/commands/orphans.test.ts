/** Every command that lasts reaps the children that it has got from others. */

import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { HELD_OPEN, newScene } from "../support/scene.ts";
import { until } from "../tls/processes.ts";

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
  const process = scene.execute("/bin/sh", ["-c", script], {
    input: HELD_OPEN,
    env: { ...serverEnvironment, ...clientEnvironment },
  });
  const [, pid = ""] = await process.line(/^child (\d+)$/);
  globalThis.process.kill(Number(pid), "SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`));
  expect(existsSync(`/proc/${process.pid}`)).toBe(true);
  expect(process.output).not.toMatch(/fatal/);
});
