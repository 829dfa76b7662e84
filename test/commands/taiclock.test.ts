import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { parseOffset } from "../../src/clock/sync/index.ts";
import { newScene } from "../support/scene.ts";

test.each(["127.0.0.1", "::1"])("s6-taiclock measures against s6-taiclockd at %s", async (ip) => {
  await using scene = await newScene();
  const server = scene.start("s6-taiclockd", ["-1", "-i", ip, "-p", "0"]);
  const [port = ""] = await server.line(/^\d+$/);
  const run = await scene.run("s6-taiclock", ["-r0", "-e", "5000", "-p", port, ip]);
  run.exits(EXIT.ok).stderrIs("");
  const offsetNs = parseOffset(run.stdoutBytes) ?? 0n;
  expect(run.stdoutBytes).toHaveLength(12);
  expect(Math.abs(Number(offsetNs))).toBeLessThan(5e9);
});

test("s6-taiclock | s6-clockview prints both times, as the manual shows", async () => {
  await using scene = await newScene();
  const server = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
  const [port = ""] = await server.line(/^\d+$/);
  const run = await scene.shell(`ucspi s6-taiclock -f -p ${port} 127.0.0.1 | ucspi s6-clockview`);
  run.exits(EXIT.ok).stdoutMatches(/^before: .*\nafter: {2}.*\n$/);
});

test("s6-taiclock reports why it gets no answer", async () => {
  await using scene = await newScene();
  const port = String(await scene.freePort());
  const run = await scene.run("s6-taiclock", ["-v2", "-r2", "-p", port, "127.0.0.1"]);
  run.exits(EXIT.refused).stdoutIs("");
  expect(run.stderr).toBe(
    "s6-taiclock: info: TAIA round-trip 1/2 failed: Connection refused\n" +
      "s6-taiclock: info: TAIA round-trip 2/2 failed: Connection refused\n" +
      "s6-taiclock: fatal: unable to contact taiclock server at 127.0.0.1: Connection refused\n",
  );
});

test.each([[[]], [["name"]], [["-q", "::1"]]])("s6-taiclock %j is a usage error", async (words) => {
  await using scene = await newScene();
  const run = await scene.run("s6-taiclock", words);
  run.exits(EXIT.usage).stderrMatches(/^s6-taiclock: usage: s6-taiclock /m);
});
