/** Children and orphans on the real kernel: without pidfds, and as pid 1. */

import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../support/scene.ts";
import {
  fixtureCommand,
  inheritedEnvironment,
  runFixture,
  temporaryFolder,
} from "../posix/program.ts";

const folder = temporaryFolder();
const canCompile = spawnSync("cc", ["--version"]).status === 0;
const canUnshare = spawnSync("unshare", ["-pf", "--mount-proc", "true"]).status === 0;

const NO_COMPILER = canCompile ? "" : " (skipped: no C compiler)";
const NO_NAMESPACES = canUnshare ? "" : " (skipped: no right to make pid namespaces)";

function output(words: readonly string[]): string {
  const [command = "", ...rest] = words;
  const env = { PATH: "/usr/bin:/bin", ...inheritedEnvironment() };
  const { stdout, stderr } = spawnSync(command, rest, { encoding: "utf8", env });
  return stdout + stderr;
}

const TOLD = "executed 30, ended 30, failed 10";
const LEFT = "descriptors left 0, children left false";

test("children are followed by their pidfds", () => {
  expect(runFixture("children").stdout).toBe(`${TOLD}, pidfds 40\n${LEFT}\n`);
});

test.skipIf(!canCompile)(
  `children are followed by SIGCHLD where pidfds are refused${NO_COMPILER}`,
  () => {
    const filter = folder.file("refuse-pidfds");
    const source = `${ROOT}/test/fixtures/posix/refuse-pidfds.c`;
    expect(spawnSync("cc", ["-o", filter, source], { encoding: "utf8" }).stderr).toBe("");
    expect(output([filter, ...fixtureCommand("children")])).toBe(`${TOLD}, pidfds 0\n${LEFT}\n`);
  },
);

test.skipIf(!canUnshare).each([
  ["with /proc", ["--mount-proc"]],
  ["without a /proc of its own", []],
])(`pid 1 reaps thousands of orphans and no child of others, %s${NO_NAMESPACES}`, (_, options) => {
  expect(output(["unshare", "-pf", ...options, ...fixtureCommand("pid-one")])).toBe(
    "pid 1, Node's 7 and 8, ours exited\nchildren left false\n",
  );
});
