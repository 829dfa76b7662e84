/**
 * SNTP against a real server: chronyd, which serves its own clock (`local`) on a port of the loopback
 * interface, and leaves the clock of the machine alone (`-x`).
 */

import { describe, expect, test } from "vitest";
import { parseOffset } from "../../src/clock/sync/index.ts";
import { newScene, peer } from "../support/scene.ts";
import { startOf, withoutSuite } from "./support.ts";
import type { Scene } from "../support/scene.ts";

const chronyd = peer("chronyd");

/** A server on the loopback interface; its port. */
async function startChronyd(scene: Scene, lines: readonly string[]): Promise<string> {
  const port = String(await scene.freePort());
  const common = ["allow", `port ${port}`, "cmdport 0", `pidfile ${scene.path("pid")}`];
  scene.write("chrony.conf", [...common, ...lines, ""].join("\n"));
  const server = scene.execute(chronyd.path, [
    "-x",
    "-d",
    "-U",
    "-u",
    "root",
    "-f",
    scene.path("chrony.conf"),
  ]);
  await server.line(/(?:Running with|Disabled control|version \S+ starting)/);
  return port;
}

/** The result of s6-sntpclock once the server is there. */
async function measure(scene: Scene, port: string, words: readonly string[], ip = "127.0.0.1") {
  const patience = ["-T", "20000", "-t", "300", "-h", "100", "-r", "20", "-e", "1000"];
  return scene.run("s6-sntpclock", [...patience, ...words, "-p", port, ip]);
}

describe.skipIf(chronyd.isMissing)(`s6-sntpclock and chronyd${chronyd.why}`, () => {
  test.each([
    ["127.0.0.1", "local stratum 3"],
    ["::1", "local stratum 1"],
  ])("s6-sntpclock and chronyd measure the same clock over %s, %s", async (ip, stratum) => {
    await using scene = await newScene();
    const port = await startChronyd(scene, [stratum, `bindaddress ${ip}`]);
    const run = await measure(scene, port, ["-v3"], ip);
    run.exits(0).stderrMatches(new RegExp(`server: ${stratum.slice(6)}, leap second: none`));
    expect(Math.abs(Number(parseOffset(run.stdoutBytes)))).toBeLessThan(1e9);
  });

  test("s6-sntpclock does not measure where chronyd is not synchronised", async () => {
    await using scene = await newScene();
    const port = await startChronyd(scene, ["bindaddress 127.0.0.1"]);
    const run = await measure(scene, port, ["-r3"]);
    run
      .exits(1)
      .stdoutIs("")
      .stderrMatches(/the server is of stratum 0, not synchronised$/m);
  });

  test.skipIf(withoutSuite !== "")(
    `s6-sntpclock measures as the C one does${withoutSuite}`,
    async () => {
      await using scene = await newScene();
      const port = await startChronyd(scene, ["local stratum 3", "bindaddress 127.0.0.1"]);
      const ours = await measure(scene, port, []);
      const words = ["-r10", "-e", "1000", "-p", port, "127.0.0.1"];
      const theirs = await startOf("C", scene, "s6-sntpclock", words).finished();
      const offsets = [ours, theirs].map((run) => Number(parseOffset(run.exits(0).stdoutBytes)));
      expect(Math.abs((offsets[0] ?? 0) - (offsets[1] ?? 0))).toBeLessThan(1e9);
    },
  );
});
