import { readdirSync, statSync } from "node:fs";
import { expect, test } from "vitest";
import { bothWays, findProgram, isRoot, newScene, withoutOthers } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";

async function events(scene: Scene): Promise<void> {
  (await scene.run("s6-mkfifodir", ["events"])).exits(0);
}

function fifos(scene: Scene): string[] {
  return readdirSync(scene.path("events"));
}

/** Wait until so many listeners are there. */
async function listeners(scene: Scene, count: number): Promise<void> {
  while (fifos(scene).filter((name) => !name.startsWith(".")).length < count) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

bothWays("s6-ftrig-listen1 prints the events of its program up to the match", async (scenes) => {
  await using scene = await scenes();
  await events(scene);
  const run = await scene.run("s6-ftrig-listen1", [
    ...["events", "a.*b", "s6-ftrig-notify", "events", "xaazzbcc"],
  ]);
  run.exits(0).stdoutIs("xaazzbcc\n").stderrIs("");
  expect(fifos(scene)).toEqual([]);
});

test("s6-ftrig-listen1 gathers events until they match, NULs and bytes above 127 included", async () => {
  await using scene = await newScene();
  await events(scene);
  const raw = "for f in events/ftrig1*; do printf '\\0\\351' > $f; done";
  const script = `s6-ftrig-notify events a; ${raw}; s6-ftrig-notify events b`;
  const run = await scene.run("s6-ftrig-listen1", ["events", "b", "sh", "-c", script]);
  run.exits(0).stdoutIs(Buffer.from("a\0\xe9b\n", "latin1"));
});

bothWays("s6-ftrig-listen1 waits on after its program, and exits 1 in the end", async (scenes) => {
  await using scene = await scenes();
  await events(scene);
  const text = "s6-ftrig-listen1: fatal: unable to get expected event: Connection timed out\n";
  for (const program of [["false"], ["s6-envdir", "absent", "true"]]) {
    const run = await scene.run("s6-ftrig-listen1", ["-t", "200", "events", "x", ...program]);
    expect(run.exits(1).stderr.endsWith(text)).toBe(true);
  }
  expect(fifos(scene)).toEqual([]);
});

test("the listening commands refuse what they cannot do in one line, and leave no fifo", async () => {
  await using scene = await newScene();
  await events(scene);
  const absent = "unable to subscribe to absent with regexp x: No such file or directory";
  (await scene.run("s6-ftrig-wait", ["absent", "x"]))
    .exits(111)
    .stderrIs(`s6-ftrig-wait: fatal: ${absent}\n`);
  const bad = await scene.run("s6-ftrig-listen1", ["events", "(", "true"]);
  bad
    .exits(111)
    .stderrMatches(/^s6-ftrig-listen1: fatal: unable to subscribe to events with regexp \(: .*\n$/);
  const missing = await scene.run("s6-ftrig-listen1", ["events", "x", "no-such-program"]);
  missing
    .exits(111)
    .stderrIs(
      "s6-ftrig-listen1: fatal: unable to spawn no-such-program: No such file or directory\n",
    );
  const half = await scene.run("s6-ftrig-listen", [" events", " x", " absent", " y", "", "true"]);
  half.exits(111).stderrMatches(/absent with regexp y/);
  expect(fifos(scene)).toEqual([]);
});

test("usage errors of the listening commands exit 100", async () => {
  await using scene = await newScene();
  await events(scene);
  const wrong = [
    ["s6-ftrig-wait", "events"],
    ["s6-ftrig-wait", "events", "x", "surplus"],
    ["s6-ftrig-wait", "-t", "soon", "events", "x"],
    ["s6-ftrig-listen1", "events", "x"],
    ["s6-ftrig-listen", "", "true"],
    ["s6-ftrig-listen", " events", "", "true"],
    ["s6-ftrig-listen", " events", " x", "true"],
    ["s6-ftrig-listen", " events", " x", ""],
    ["s6-ftrig-notify", "events"],
    ["s6-mkfifodir", "-g", "users", "new"],
    ["s6-mkfifodir"],
    ["s6-cleanfifodir"],
  ];
  for (const [command = "", ...words] of wrong) {
    (await scene.run(command, words)).exits(100).stderrMatches(new RegExp(`^${command}: `));
  }
  expect(fifos(scene)).toEqual([]);
});

bothWays("s6-ftrig-wait prints what comes, and exits 99 when nothing does", async (scenes) => {
  await using scene = await scenes();
  await events(scene);
  const waiting = scene.start("s6-ftrig-wait", ["events", "U$"]);
  await listeners(scene, 1);
  (await scene.run("s6-ftrig-notify", ["events", "uU"])).exits(0).stderrIs("");
  (await waiting.finished()).exits(0).stdoutIs("uU\n");
  const late = await scene.run("s6-ftrig-wait", ["--timeout=50", "events", "x"]);
  late
    .exits(99)
    .stderrIs("s6-ftrig-wait: fatal: unable to match regexp on x: Connection timed out\n");
});

bothWays("s6-ftrig-listen waits for all events, or with -o for any", async (scenes) => {
  await using scene = await scenes();
  await events(scene);
  (await scene.run("s6-mkfifodir", ["more"])).exits(0);
  const block = [" events", " a", " more", " b", ""];
  const both = "s6-ftrig-notify more b; s6-ftrig-notify events a; echo sent";
  (await scene.run("s6-ftrig-listen", [...block, "sh", "-c", both])).exits(0);
  const one = ["s6-ftrig-notify", "more", "b"];
  (await scene.run("s6-ftrig-listen", ["-o", ...block, ...one])).exits(0).stdoutIs("");
  (await scene.run("s6-ftrig-listen", ["-t", "300", ...block, ...one])).exits(1);
  expect([...fifos(scene), ...readdirSync(scene.path("more"))]).toEqual([]);
});

const execlineb = findProgram("execlineb");

test.skipIf(execlineb === undefined)("s6-ftrig-listen takes the blocks of execline", async () => {
  await using scene = await newScene();
  await events(scene);
  const script = "s6-ftrig-listen { events a } s6-ftrig-notify events a";
  (await scene.execute(execlineb ?? "", ["-c", script]).finished()).exits(0).stderrIs("");
});

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "%s ends s6-ftrig-wait, which removes its fifo",
  async (signal) => {
    await using scene = await newScene();
    await events(scene);
    const waiting = scene.start("s6-ftrig-wait", ["events", "x"]);
    await listeners(scene, 1);
    waiting.signal(signal);
    (await waiting.finished()).diesOf(signal);
    expect(fifos(scene)).toEqual([]);
  },
);

test("the fifo of a listener that was killed is removed by the next event and by s6-cleanfifodir", async () => {
  await using scene = await newScene();
  await events(scene);
  for (const [command = "", ...words] of [
    ["s6-ftrig-notify", "events", "x"],
    ["s6-cleanfifodir", "events"],
  ]) {
    const waiting = scene.start("s6-ftrig-wait", ["events", "x"]);
    await listeners(scene, 1);
    waiting.signal("SIGKILL");
    await waiting.finished();
    expect(fifos(scene)).toHaveLength(1);
    (await scene.run(command, words)).exits(0).stderrIs("");
    expect(fifos(scene)).toEqual([]);
  }
});

test("a listener that is stopped misses events, holds up no notifier, and hears of the later ones", async () => {
  await using scene = await newScene();
  await events(scene);
  const waiting = scene.start("s6-ftrig-wait", ["events", "end"]);
  await listeners(scene, 1);
  waiting.signal("SIGSTOP");
  const full = `x=$(printf %04096d 0); for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do s6-ftrig-notify events $x; done`;
  (await scene.shell(full)).exits(0).stderrIs("");
  const missed = await scene.run("s6-ftrig-notify", ["events", "end"]);
  missed
    .exits(0)
    .stderrMatches(/^s6-ftrig-notify: warning: 1 listener has missed the events in events: .*\n$/);
  waiting.signal("SIGCONT");
  while ((await scene.run("s6-ftrig-notify", ["events", "end"])).stderr !== "");
  (await waiting.finished()).exits(0).stdoutMatches(/^0{65536}(end)+\n$/);
});

test("s6-mkfifodir, s6-cleanfifodir and s6-ftrig-notify name the directory that they cannot use", async () => {
  await using scene = await newScene({ files: { file: "" } });
  (await scene.run("s6-mkfifodir", ["file"]))
    .exits(111)
    .stderrIs("s6-mkfifodir: fatal: unable to create fifodir at file: Not a directory\n");
  (await scene.run("s6-cleanfifodir", ["file"]))
    .exits(111)
    .stderrIs("s6-cleanfifodir: fatal: unable to clean up fifodir at file: Not a directory\n");
  (await scene.run("s6-ftrig-notify", ["none", "x"]))
    .exits(111)
    .stderrIs("s6-ftrig-notify: fatal: unable to notify none: No such file or directory\n");
});

test.skipIf(!isRoot)(
  "s6-mkfifodir refuses a directory of another user, and gives a group its own",
  async () => {
    await using scene = await newScene({ files: { "other/": "" } });
    (await scene.shell("chown 4242 other")).exits(0);
    (await scene.run("s6-mkfifodir", ["-f", "other"]))
      .exits(111)
      .stderrMatches(/Permission denied\n$/);
    (await scene.run("s6-mkfifodir", ["-g", "4243", "events"])).exits(0);
    const { mode, gid } = statSync(scene.path("events"));
    expect([mode & 0o7777, gid]).toEqual([0o3730, 4243]);
  },
);

test.skipIf(withoutOthers !== "")(
  `another user may listen in a public fifodir, but not list it, and is told by its owner${withoutOthers}`,
  async () => {
    await using scene = await newScene();
    (await scene.shell("chmod 755 .")).exits(0);
    await events(scene);
    const as = (words: readonly string[]): SceneProcess =>
      scene.start("s6-setuidgid", ["4242:4242", ...words]);
    const waiting = as(["s6-ftrig-wait", "events", "x"]);
    await listeners(scene, 1);
    expect(statSync(scene.path(`events/${fifos(scene)[0]}`))).toMatchObject({
      uid: 4242,
      mode: 0o010622,
    });
    (await as(["s6-ftrig-notify", "events", "x"]).finished())
      .exits(111)
      .stderrMatches(/Permission denied/);
    (await scene.run("s6-ftrig-notify", ["events", "x"])).exits(0);
    (await waiting.finished()).exits(0).stdoutIs("x\n");
    (await scene.run("s6-mkfifodir", ["-f", "-g", "4243", "events"])).exits(0);
    (await as(["s6-ftrig-wait", "events", "x"]).finished())
      .exits(111)
      .stderrMatches(/Permission denied/);
  },
);
