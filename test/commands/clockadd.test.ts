import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { formatOffset } from "../../src/clock/sync/index.ts";
import { BIN, isRoot, newScene, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

// No test here sets the clock of the machine: those that get as far as that have no right to.

const setpriv = peer("setpriv");

async function clockadd(scene: Scene, words: readonly string[], offsetNs: bigint) {
  return scene.run("s6-clockadd", words, { input: formatOffset(offsetNs) });
}

/** Run it without CAP_SYS_TIME. */
async function unprivileged(scene: Scene, words: readonly string[], offsetNs: bigint) {
  const drop = isRoot ? [setpriv.path, "--bounding-set=-sys_time", "--inh-caps=-sys_time"] : [];
  const [file = "", ...rest] = [...drop, join(BIN, "s6-clockadd"), ...words];
  return scene.execute(file, rest, { input: formatOffset(offsetNs) }).finished();
}

describe("s6-clockadd without the right to set the clock", () => {
  test.skipIf(isRoot && setpriv.isMissing).each([
    ["set", [], 0n],
    ["set", [], 2_000_000_000n],
    ["set", [], -2_000_000_000n],
    ["set", ["-e", "16000"], -16_000_000_000n],
    ["slew", ["--slew"], 1_000_000_000n],
  ] as const)(
    `s6-clockadd without the right to set the clock reports that it cannot %s it: %j, %d ns${setpriv.why}`,
    async (verb, words, offset) => {
      await using scene = await newScene();
      const run = await unprivileged(scene, words, offset);
      const message = `s6-clockadd: fatal: unable to ${verb} the system clock: Operation not permitted`;
      run.exits(EXIT.system).stdoutIs("").stderrIs(`${message}\n`);
    },
  );

  test.skipIf(isRoot && setpriv.isMissing)(
    `s6-clockadd -f without the right to set the clock warns first of a large offset${setpriv.why}`,
    async () => {
      await using scene = await newScene();
      const run = await unprivileged(scene, ["-f"], 2_000_000_001n);
      run.exits(EXIT.system);
      expect(run.stderr).toBe(
        "s6-clockadd: warning: time discrepancy bigger than 2000 milliseconds\n" +
          "s6-clockadd: fatal: unable to set the system clock: Operation not permitted\n",
      );
    },
  );
});

test.each([
  [[], 2_000_000_001n, 2000],
  [[], -2_000_000_001n, 2000],
  [["-e0"], 1n, 0],
  [["-e", "15999"], -16_000_000_000n, 15_999],
  [["--slew"], 86_400_000_000_000n, 2000],
] as const)("s6-clockadd %j refuses an offset of %d ns", async (words, offsetNs, mostMs) => {
  await using scene = await newScene();
  const run = await clockadd(scene, words, offsetNs);
  const problem = `time discrepancy bigger than ${mostMs} milliseconds`;
  run.exits(EXIT.refused).stdoutIs("").stderrIs(`s6-clockadd: fatal: ${problem}\n`);
});

test("s6-clockadd -f refuses a time that no clock can have", async () => {
  await using scene = await newScene();
  const run = await clockadd(scene, ["-f"], 1n << 64n);
  run
    .exits(EXIT.system)
    .stderrMatches(/unable to set the system clock: The clock cannot be set to/);
});

test.each([
  ["616263", /unable to read an offset: stdin ended after 3 of 12 bytes$/m],
  ["", /unable to read an offset: stdin ended after 0 of 12 bytes$/m],
  ["0000000000000000ffffffff", /stdin holds no offset: 0000000000000000ffffffff has /m],
])("s6-clockadd refuses %j on stdin", async (hex, message) => {
  await using scene = await newScene();
  const run = await scene.run("s6-clockadd", [], { input: Buffer.from(hex, "hex") });
  run.exits(EXIT.system).stderrMatches(message);
});

test.each([[["-e"]], [["-e", "-5"]], [["-z"]]])(
  "s6-clockadd %j is a usage error",
  async (words) => {
    await using scene = await newScene();
    const run = await scene.run("s6-clockadd", words);
    run.exits(EXIT.usage).stderrMatches(/^s6-clockadd: usage: s6-clockadd /m);
  },
);
