import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { parseTai64n, taiFromUnix } from "../../src/clock/index.ts";
import { HELD_OPEN, newScene } from "../support/scene.ts";

const STAMPED = /^@[0-9a-f]{24} /gm;

test("s6-tai64n puts the time in front of each line, and ends the last", async () => {
  await using scene = await newScene();
  const started = taiFromUnix(BigInt(Date.now() - 1) * 1_000_000n);
  const run = await scene.run("s6-tai64n", [], { input: "a\n\nb" });
  run.exits(EXIT.ok).stderrIs("");
  expect(run.stdout.replaceAll(STAMPED, "")).toBe("a\n\nb\n");
  const labels = run.stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(0, 25));
  expect(labels.map((label) => (parseTai64n(label) ?? 0n) > started)).toEqual([true, true, true]);
  expect(labels).toEqual(labels.toSorted());
});

test("s6-tai64n writes each line as soon as it is complete", async () => {
  await using scene = await newScene();
  const process = scene.start("s6-tai64n", [], { input: HELD_OPEN });
  process.write("one\ntw");
  await process.line(/^@[0-9a-f]{24} one$/);
  process.write("o\n");
  await process.line(/^@[0-9a-f]{24} two$/);
  process.endInput();
  (await process.finished()).exits(EXIT.ok);
});

test("s6-tai64n takes no options, and ignores operands", async () => {
  await using scene = await newScene();
  (await scene.run("s6-tai64n", ["foo"])).exits(EXIT.ok).stdoutIs("");
});

test.each([
  ["s6-tai64n </", "s6-tai64n: fatal: unable to read from stdin: Is a directory\n"],
  ["echo | s6-tai64n >/dev/full", "s6-tai64n: fatal: unable to write to stdout: "],
])("%s reports why it fails", async (script, message) => {
  await using scene = await newScene();
  const run = await scene.shell(script);
  run.exits(EXIT.system);
  expect(run.stderr).toContain(message);
});

test("s6-tai64n ends without a message when its output has no reader", async () => {
  await using scene = await newScene();
  const run = await scene.shell(
    "{ yes | s6-tai64n; echo $? >status; } | head -n 1 >/dev/null; cat status",
  );
  run.exits(EXIT.ok).stdoutIs("141\n").stderrIs("");
});
