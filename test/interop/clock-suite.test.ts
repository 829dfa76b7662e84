/** The clocks against those of the C suite. */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formatOffset, parseOffset } from "../../src/clock/sync/index.ts";
import { BIN, isRoot, newScene, peer } from "../support/scene.ts";
import { original, startOf, withoutSuite } from "./support.ts";

const setpriv = peer("setpriv");

describe.skipIf(withoutSuite !== "")(`the clocks of the C suite${withoutSuite}`, () => {
  test("C s6-taiclock measures against our s6-taiclockd", async () => {
    await using scene = await newScene();
    const server = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
    const [port = ""] = await server.line(/^\d+$/);
    const words = ["-v2", "-r3", "-e", "1000", "-p", port, "127.0.0.1"];
    const run = await startOf("C", scene, "s6-taiclock", words).finished();
    run.exits(0).stderrIs("");
    expect(Math.abs(Number(parseOffset(run.stdoutBytes)))).toBeLessThan(1e9);
  });

  test("our s6-taiclock measures against C s6-taiclockd", async () => {
    await using scene = await newScene();
    const port = String(await scene.freePort());
    startOf("C", scene, "s6-taiclockd", ["-i", "127.0.0.1", "-p", port]);
    const words = ["-T0", "-t", "200", "-r50", "-h", "20", "-e", "1000", "-p", port, "127.0.0.1"];
    const run = await scene.run("s6-taiclock", words);
    run.exits(0);
    expect(Math.abs(Number(parseOffset(run.stdoutBytes)))).toBeLessThan(1e9);
  });

  test.each(["000000000000000100000000", "fffffffffffffffa1dcd6500"])(
    "s6-clockview shows the offset %s as the C one does",
    async (hex) => {
      await using scene = await newScene();
      const options = { input: Buffer.from(hex, "hex"), env: { TZ: "EST5EDT,M3.2.0,M11.1.0" } };
      const theirs = await startOf("C", scene, "s6-clockview", [], options).finished();
      const ours = await scene.run("s6-clockview", [], options);
      const [ourTimes, theirTimes] = [ours, theirs].map(({ stdout }) => {
        expect(stdout).toMatch(/^before: \S+ \S+\nafter: {2}\S+ \S+\n$/);
        return stdout.split("\n").map((line) => Date.parse(`${line.slice(8, 31).trim()}Z`));
      });
      for (const index of [0, 1]) {
        const apart = (ourTimes?.[index] ?? 0) - (theirTimes?.[index] ?? 0);
        expect(Math.abs(apart)).toBeLessThan(10_000);
      }
    },
  );

  test.each([
    [[], "0000000000000002000000010000"],
    [["-e", "15999"], "fffffffffffffff000000000"],
  ])("s6-clockadd %j refuses %s as the C one does", async (words, hex) => {
    await using scene = await newScene();
    const input = Buffer.from(hex, "hex");
    const theirs = await startOf("C", scene, "s6-clockadd", words, { input }).finished();
    const ours = await scene.run("s6-clockadd", words, { input });
    expect(ours.stderr).toBe(theirs.stderr);
    ours.exits(1);
    theirs.exits(1);
  });

  test.each([
    ["ours", "C"],
    ["C", "ours"],
  ] as const)("s6-clockview shows an offset across: %s, then %s", async (producer, consumer) => {
    await using scene = await newScene();
    const server = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
    const [port = ""] = await server.line(/^\d+$/);
    const words = ["-e", "1000", "-p", port, "127.0.0.1"];
    const clock = await startOf(producer, scene, "s6-taiclock", words).finished();
    const options = { input: clock.exits(0).stdoutBytes, env: { TZ: "" } };
    const view = await startOf(consumer, scene, "s6-clockview", [], options).finished();
    view.exits(0).stdoutMatches(/^before: \S+ \S+\nafter: {2}\S+ \S+\n$/);
  });

  test.skipIf(isRoot && setpriv.isMissing)(
    `s6-clockadd takes an offset of ours as the C one does, without the right${setpriv.why}`,
    async () => {
      await using scene = await newScene();
      const drop = isRoot ? [setpriv.path, "--bounding-set=-sys_time", "--inh-caps=-sys_time"] : [];
      for (const path of [original("s6-clockadd").path, join(BIN, "s6-clockadd")]) {
        const [file, ...words] = [...drop, path];
        const run = await scene.execute(file, words, { input: formatOffset(1n) }).finished();
        run.exits(111).stderrMatches(/: Operation not permitted$/m);
      }
    },
  );
});
