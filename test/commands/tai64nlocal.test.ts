import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { HELD_OPEN, newScene } from "../support/scene.ts";
import { zones } from "../support/zones.ts";

const LABEL = "@400000006553f125075bcd15";

async function expectShown(TZ: string, time: string): Promise<void> {
  await using scene = await newScene();
  const run = await scene.run("s6-tai64nlocal", [], { input: `${LABEL} x\n`, env: { TZ } });
  run.exits(EXIT.ok).stdoutIs(`${time} x\n`).stderrIs("");
}

test.skipIf(zones.isMissing).each([
  ["Europe/Berlin", "2023-11-14 23:13:20.123456789"],
  ["America/New_York", "2023-11-14 17:13:20.123456789"],
  [":Europe/Paris", "2023-11-14 23:13:20.123456789"],
])(`s6-tai64nlocal with TZ=%s shows %s${zones.why}`, expectShown);

test.each([
  ["XYZ3", "2023-11-14 19:13:20.123456789"],
  ["", "2023-11-14 22:13:20.123456789"],
  ["Nowhere/Foo", "2023-11-14 22:13:20.123456789"],
])("s6-tai64nlocal with TZ=%s shows %s", expectShown);

test("s6-tai64nlocal -g shows UTC, and leap seconds", async () => {
  await using scene = await newScene();
  const input = "@40000000586846a400000000 leap\nx @40000000586846a400000000\n@4\n\xff";
  const run = await scene.run("s6-tai64nlocal", ["-g"], {
    input: Buffer.from(input, "latin1"),
    env: { TZ: "JST-9" },
  });
  const expected = "2016-12-31 23:59:60.000000000 leap\nx @40000000586846a400000000\n@4\n\xff";
  run.exits(EXIT.ok).stdoutIs(Buffer.from(expected, "latin1"));
});

test("s6-tai64nlocal undoes s6-tai64n", async () => {
  await using scene = await newScene();
  const run = await scene.shell("printf 'a\\nb\\n' | s6-tai64n | s6-tai64nlocal -g");
  run.exits(EXIT.ok);
  const time = String.raw`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}`;
  expect(run.stdout).toMatch(new RegExp(`^${time} a\n${time} b\n$`));
});

test("s6-tai64nlocal writes each line as soon as it is complete, with a label in two pieces", async () => {
  await using scene = await newScene();
  const process = scene.start("s6-tai64nlocal", ["-g"], { input: HELD_OPEN });
  process.write(`${LABEL} one\n${LABEL.slice(0, 9)}`);
  await process.line(/^2023-11-14 22:13:20\.123456789 one$/);
  process.write(`${LABEL.slice(9)} two\n`);
  await process.line(/^2023-11-14 22:13:20\.123456789 two$/);
  process.endInput();
  (await process.finished()).exits(EXIT.ok);
});

test("s6-tai64nlocal -x is a usage error", async () => {
  await using scene = await newScene();
  const run = await scene.run("s6-tai64nlocal", ["-x"]);
  run.exits(EXIT.usage).stderrMatches(/^s6-tai64nlocal: usage: s6-tai64nlocal \[-g\]$/m);
});

test("s6-tai64nlocal reports that it cannot write", async () => {
  await using scene = await newScene();
  const run = await scene.shell("echo | s6-tai64nlocal >/dev/full");
  run.exits(EXIT.system);
  expect(run.stderr).toMatch(/^s6-tai64nlocal: fatal: unable to write to stdout: /);
});
