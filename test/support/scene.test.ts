import { closeSync, openSync } from "node:fs";
import { expect, test } from "vitest";
import { findProgram, HELD_OPEN, isAlive, newScene, peer } from "./scene.ts";

test("a scene writes its files and removes them", async () => {
  const scene = await newScene({ files: { "a/b": "text", run: "#!/bin/sh\nexit 3\n", "d/": "" } });
  expect(scene.has("a/b")).toBe(true);
  expect(scene.has("d")).toBe(true);
  (await scene.execute(scene.path("run"), []).finished()).exits(3);
  await scene[Symbol.asyncDispose]();
  expect(scene.has("")).toBe(false);
});

test("a scene collects output, exit code and signal", async () => {
  await using scene = await newScene();
  const run = await scene.shell("cat; echo error >&2; exit 7", { input: "some\xff" });
  run.exits(7).stdoutIs("some\xff").stderrIs("error\n");
  (await scene.shell("kill -TERM $$")).diesOf("SIGTERM");
});

test("a scene waits for lines, and ends what still runs", async () => {
  const scene = await newScene();
  const started = scene.execute("/bin/sh", ["-c", "sleep 1000 & echo child $!; cat; wait"], {
    input: HELD_OPEN,
  });
  const [, child = ""] = await started.line(/^child (\d+)$/);
  started.write("hello\n");
  await started.line(/^hello$/);
  expect(isAlive(Number(child))).toBe(true);
  await scene[Symbol.asyncDispose]();
  await started.finished(); // nobody holds its output any more
  expect(isAlive(started.pid)).toBe(false);
  expect(isAlive(Number(child))).toBe(false);
});

test("waiting for a line fails when the output ends without it", async () => {
  await using scene = await newScene();
  await expect(scene.execute("/bin/echo", ["something"]).line(/else/)).rejects.toThrow(/something/);
});

test("a process of a scene gets the descriptors and variables it is given", async () => {
  await using scene = await newScene({ files: { file: "from 7\n" } });
  const fd = openSync(scene.path("file"), "r");
  const run = await scene.shell('cat <&7; echo "$A"', { fds: { 7: fd }, env: { A: "b" } });
  closeSync(fd);
  run.exits(0).stdoutIs("from 7\nb\n");
});

test("the environment of a scene reports that a peer is missing", () => {
  expect(findProgram("sh")).toMatch(/\/sh$/);
  expect(findProgram("no-such-program")).toBeUndefined();
  if (process.env["CI"] === undefined) {
    expect(peer("no-such-program").why).toBe(" (skipped: no-such-program is not installed)");
  }
});
