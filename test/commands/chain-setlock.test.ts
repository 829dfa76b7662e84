import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bothWays, HELD_OPEN, newScene, peer } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";

/** Hold `lock` until the input of the process ends. */
async function hold(scene: Scene, ...options: string[]): Promise<SceneProcess> {
  const words = [...options, "lock", "sh", "-c", "echo held; cat"];
  const holder = scene.start("s6-setlock", words, { input: HELD_OPEN });
  await holder.line(/^held$/);
  return holder;
}

const BUSY = "s6-setlock: fatal: unable to lock lock: Device or resource busy\n";

bothWays("s6-setlock -n exits 1 while another holds the lock", async (scenes) => {
  await using scene = await scenes();
  const holder = await hold(scene);
  (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1).stderrIs(BUSY);
  (await scene.run("s6-setlock", ["-r", "-n", "lock", "true"])).exits(1).stderrIs(BUSY);
  holder.endInput();
  await holder.finished();
  (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(0);
});

bothWays("shared locks go together, an exclusive one does not join them", async (scenes) => {
  await using scene = await scenes();
  await hold(scene, "-r");
  (await scene.run("s6-setlock", ["-rn", "lock", "true"])).exits(0);
  (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1);
});

bothWays("s6-setlock waits for the lock", async (scenes) => {
  await using scene = await scenes();
  const holder = await hold(scene);
  const waiter = scene.start("s6-setlock", ["lock", "echo", "mine"]);
  const patient = scene.start("s6-setlock", ["-t", "60000", "lock", "echo", "mine"]);
  holder.endInput();
  (await waiter.finished()).exits(0).stdoutIs("mine\n");
  (await patient.finished()).exits(0).stdoutIs("mine\n");
});

bothWays("s6-setlock -t gives up in time", async (scenes) => {
  await using scene = await scenes();
  await hold(scene);
  const run = await scene.run("s6-setlock", ["-t", "50", "lock", "true"]);
  run.exits(1).stderrIs("s6-setlock: fatal: lock lock: timed out\n");
  (await scene.run("s6-setlock", ["-t", "50", "-n", "lock", "true"])).exits(1).stderrIs(BUSY);
});

for (const number of [3, 9, 14, 60]) {
  bothWays(`s6-setlock -d ${number} keeps the lock on that descriptor`, async (scenes) => {
    await using scene = await scenes();
    const script = `s6-setlock -d ${number} lock sh -c 'readlink /proc/$$/fd/${number}; echo held; cat <&8; :'`;
    const holder = scene.execute("/bin/sh", ["-c", `exec 8<&0; ${script}`], { input: HELD_OPEN });
    expect((await holder.line(/^\/.*lock$/))[0]).toBe(scene.path("lock"));
    await holder.line(/^held$/);
    (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1);
    holder.endInput();
    (await holder.finished()).exits(0);
  });
}

bothWays("s6-setlock -d 0 puts the lock on standard input", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.run("s6-setlock", ["-d", "0", "lock", "cat", "/proc/self/fdinfo/0"]);
  run.exits(0).stdoutMatches(/^lock:.*OFDLCK +ADVISORY +WRITE/m);
});

bothWays("locks add up along a chain", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const words = ["-d", "9", "lock", "s6-setlock", "-d", "5", "lock2", "s6-envdir", "empty", "sh"];
  const holder = scene.start("s6-setlock", [...words, "-c", "echo held; cat"], {
    input: HELD_OPEN,
  });
  await holder.line(/^held$/);
  (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1);
  (await scene.run("s6-setlock", ["-n", "lock2", "true"])).exits(1);
  expect(readFileSync(`/proc/${holder.pid}/fdinfo/9`, "utf8")).toMatch(/^lock:.*OFDLCK/m);
});

test("a lock that an earlier link of the chain has is refused, not waited for", async () => {
  await using scene = await newScene();
  const twice = (...options: string[]) =>
    scene.run("s6-setlock", ["lock", "s6-setlock", ...options, "lock", "true"]);
  const deadlock = "s6-setlock: fatal: unable to lock lock: Resource deadlock avoided\n";
  (await twice()).exits(1).stderrIs(deadlock);
  (await twice("-n")).exits(1).stderrIs(BUSY);
  (await twice("-t", "50")).exits(1).stderrIs("s6-setlock: fatal: lock lock: timed out\n");
  (await scene.run("s6-setlock", ["-r", "lock", "s6-setlock", "-r", "lock", "true"])).exits(0);
});

bothWays("a lock lasts until all that have its descriptor have ended", async (scenes) => {
  await using scene = await scenes();
  (await scene.shell("mkfifo go")).exits(0);
  const script = "sh -c 'echo held; read word < go' & exit 0";
  await scene.start("s6-setlock", ["lock", "sh", "-c", script]).line(/^held$/);
  (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1);
  (await scene.shell("echo > go")).exits(0);
  (await scene.run("s6-setlock", ["lock", "echo", "free"])).exits(0).stdoutIs("free\n");
});

bothWays("files that cannot be opened or moved are 111", async (scenes) => {
  await using scene = await scenes({ files: { "dir/": "" } });
  const cases: [string[], string][] = [
    [["no/lock"], "unable to open no/lock for writing: No such file or directory"],
    [["-r", "no/lock"], "unable to create no/lock: No such file or directory"],
    [["dir"], "unable to open dir for writing: Is a directory"],
    [["-d", "9999999", "lock"], "unable to move lock descriptor: Bad file descriptor"],
  ];
  for (const [words, problem] of cases) {
    const run = await scene.run("s6-setlock", [...words, "true"]);
    run.exits(111).stderrIs(`s6-setlock: fatal: ${problem}\n`);
  }
});

bothWays("a descriptor above the limit of the program cannot be", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.run("s6-softlimit", [
    "-o",
    "40",
    "s6-setlock",
    "-d",
    "40",
    "lock",
    "true",
  ]);
  const problem = "unable to move lock descriptor: Bad file descriptor";
  run.exits(111).stderrIs(`s6-setlock: fatal: ${problem}\n`);
});

bothWays("the lock file is made by the umask and its content is left alone", async (scenes) => {
  await using scene = await scenes({ files: { old: "content" } });
  (
    await scene.shell(
      "umask 027; s6-setlock new true && s6-setlock -r newer true && s6-setlock old true",
    )
  ).exits(0);
  (await scene.shell("stat -c %a new newer")).exits(0).stdoutIs("640\n640\n");
  expect(scene.read("old")).toBe("content");
});

bothWays("s6-setlock refuses what makes no sense", async (scenes) => {
  await using scene = await scenes();
  for (const words of [["-t", "x", "lock", "true"], ["-d", "x", "lock", "true"], ["lock"], []]) {
    (await scene.run("s6-setlock", words)).exits(100).stderrMatches(/s6-setlock: usage: /);
  }
});

const original = peer("s6-setlock");

if (!original.isMissing) {
  bothWays("a lock of ours and one of the C suite exclude each other", async (scenes) => {
    await using scene = await scenes();
    const holder = await hold(scene, "-d", "7");
    (await scene.execute(original.path, ["-n", "lock", "true"]).finished()).exits(1);
    holder.endInput();
    await holder.finished();
    const words = ["lock", "sh", "-c", "echo held; cat"];
    const theirs = scene.execute(original.path, words, { input: HELD_OPEN });
    await theirs.line(/^held$/);
    (await scene.run("s6-setlock", ["-n", "lock", "true"])).exits(1).stderrIs(BUSY);
  });
}
