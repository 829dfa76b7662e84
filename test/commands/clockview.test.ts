import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene } from "../support/scene.ts";

/** Milliseconds of the two lines, as if local time were UTC. */
function times(stdout: string): readonly number[] {
  const pattern = /^before: (\S+) (\S+)\d{6}\nafter: {2}(\S+) (\S+)\d{6}\n$/;
  const [, date, time, laterDate, laterTime] = pattern.exec(stdout) ?? [];
  return [`${date}T${time}Z`, `${laterDate}T${laterTime}Z`].map(Date.parse);
}

test.each([
  ["000000000000000100000000", 1000],
  ["fffffffffffffffa1dcd6500", -5500],
  ["00000000000e10003b9ac9ff", 0xe1000 * 1000 + 999],
  ["000000000000000000000000ffff", 0],
])("s6-clockview shows what the offset %s would do", async (hex, offsetMs) => {
  await using scene = await newScene();
  const startedMs = Date.now();
  const run = await scene.run("s6-clockview", ["ignored"], {
    input: Buffer.from(hex, "hex"),
    env: { TZ: "XYZ-1" },
  });
  run.exits(EXIT.ok).stderrIs("");
  const [before = 0, after = 0] = times(run.stdout);
  expect(Math.abs(after - before - offsetMs)).toBeLessThanOrEqual(1);
  expect(before - 3_600_000).toBeGreaterThanOrEqual(startedMs - 1);
});

test.each([
  ["616263", /^s6-clockview: fatal: unable to read an offset: stdin ended after 3 of 12 bytes\n$/],
  ["00000000000000013b9aca00", /^s6-clockview: fatal: stdin holds no offset: /],
  ["7fffffffffffffff00000000", /^s6-clockview: fatal: no clock can show Unix time \d+ ns\n$/],
  ["800000000000000000000000", /^s6-clockview: fatal: no clock can show Unix time -\d+ ns\n$/],
])("s6-clockview refuses the input %s", async (hex, message) => {
  await using scene = await newScene();
  const run = await scene.run("s6-clockview", [], { input: Buffer.from(hex, "hex") });
  run.exits(EXIT.system).stdoutIs("").stderrMatches(message);
});
