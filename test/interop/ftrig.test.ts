/** Events between our commands and those of s6, both ways. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BIN, findProgram, isRoot, newScene, peer } from "../support/scene.ts";
import type { Peer, Scene, SceneProcess } from "../support/scene.ts";
import { original, withoutSuite } from "./support.ts";

const wait = peer("s6-ftrig-wait");

/** Debian's, and a build that S6_NETWORKING_BIN names; each with its directory. */
const PEERS: readonly (readonly [string, Peer])[] = [
  ["Debian's s6", wait],
  ["the C suite", original("s6-ftrig-wait")],
];

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

function fifos(scene: Scene): string[] {
  return readdirSync(scene.path("events")).filter((name) => name.startsWith("ftrig1:"));
}

describe.each(PEERS)("%s", (_, { path, isMissing, why }) => {
  const directory = join(path, "..");
  const theirs = (scene: Scene, name: string, ...words: string[]): SceneProcess =>
    scene.execute(join(directory, name), words);

  test.skipIf(isMissing)(
    `makes fifodirs as ours does, and removes the fifos that ours has left${why}`,
    async () => {
      await using scene = await newScene();
      (await theirs(scene, "s6-mkfifodir", "events").finished()).exits(0);
      (await scene.run("s6-mkfifodir", ["-f", "events"])).exits(0);
      const { mode } = statSync(scene.path("events"));
      (await scene.run("s6-mkfifodir", ["ours"])).exits(0);
      expect(statSync(scene.path("ours")).mode).toBe(mode);
      const waiting = scene.start("s6-ftrig-wait", ["events", "x"]);
      await until(() => fifos(scene).length === 1);
      waiting.signal("SIGKILL");
      await waiting.finished();
      // s6-cleanfifodir of 2.11 removes nothing.
      (await theirs(scene, "s6-cleanfifodir", "events").finished()).exits(0);
      (await theirs(scene, "s6-ftrig-notify", "events", "x").finished()).exits(0);
      expect(readdirSync(scene.path("events"))).toEqual([]);
    },
  );

  test.skipIf(isMissing)(`its notifier reaches our listener and ours its${why}`, async () => {
    await using scene = await newScene();
    (await scene.run("s6-mkfifodir", ["events"])).exits(0);
    const ours = scene.start("s6-ftrig-wait", ["events", "b"]);
    const its = theirs(scene, "s6-ftrig-wait", "events", "b");
    await until(() => fifos(scene).length === 2);
    (await theirs(scene, "s6-ftrig-notify", "events", "xa").finished()).exits(0);
    (await scene.run("s6-ftrig-notify", ["events", "b"])).exits(0).stderrIs("");
    (await ours.finished()).exits(0).stdoutIs("xab\n");
    (await its.finished()).exits(0).stdoutMatches(/b\n$/);
    await until(() => fifos(scene).length === 0);
  });

  test.skipIf(isMissing)(`its listening commands run our notifier and ours its${why}`, async () => {
    await using scene = await newScene();
    (await scene.run("s6-mkfifodir", ["events"])).exits(0);
    const its = ["events", "x", join(BIN, "s6-ftrig-notify"), "events", "x"];
    (await theirs(scene, "s6-ftrig-listen1", ...its).finished()).exits(0).stdoutIs("x\n");
    const notifier = join(directory, "s6-ftrig-notify");
    (await scene.run("s6-ftrig-listen1", ["events", "x", notifier, "events", "x"])).exits(0);
    const block = [" events", " x", "", notifier, "events", "x"];
    (await scene.run("s6-ftrig-listen", block)).exits(0);
  });
});

const unshare = findProgram("unshare");
const ftrigrd = join(original("s6-ftrig-wait").path, "..", "..", "libexec", "s6-ftrigrd");

test.skipIf(withoutSuite !== "" || !isRoot || unshare === undefined)(
  `the C suite's listeners work with our s6-ftrigrd in the place of theirs${withoutSuite}`,
  async () => {
    await using scene = await newScene();
    (await scene.run("s6-mkfifodir", ["events"])).exits(0);
    const c = join(ftrigrd, "..", "..", "bin");
    const commands = [
      `${c}/s6-ftrig-listen1 events 'a.*b' ${c}/s6-ftrig-notify events xaazzbcc`,
      `${c}/s6-ftrig-listen events a events b '' sh -c '${c}/s6-ftrig-notify events b; ${c}/s6-ftrig-notify events a'`,
      `${c}/s6-ftrig-wait -t 2000 events x || echo $?`,
      `${c}/s6-ftrig-listen1 events '(' true || echo $?`,
    ];
    scene.write("wrapper", `#!/bin/sh\nexec ${join(BIN, "s6-ftrigrd")}\n`);
    const script = `mount --bind wrapper ${ftrigrd} && ${commands.join(" && ")}`;
    const run = await scene.execute(unshare ?? "", ["-m", "sh", "-c", script]).finished();
    run.exits(0).stdoutIs("xaazzbcc\n99\n111\n");
    expect(fifos(scene)).toEqual([]);
  },
);
