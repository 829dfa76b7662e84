import { expect } from "vitest";
import { bothWays, peer } from "../support/scene.ts";

/** pid, process group, session and foreground group, from /proc/PID/stat. */
const SHOW = "cut -d' ' -f1,5,6,8 /proc/self/stat";

/** The same, behind `chain`, as a child of a shell that leads a session and a group. */
function shown(text: string): { pid: string; group: string; session: string } {
  const [pid = "", group = "", session = ""] = text.trim().split(" ");
  return { pid, group, session };
}

bothWays("s6-setsid makes a session", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const run = await scene.shell(`s6-setsid s6-envdir empty ${SHOW}; true`);
  const { pid, group, session } = shown(run.exits(0).stderrIs("").stdout);
  expect([group, session]).toEqual([pid, pid]);
});

bothWays("s6-setsid -b makes a process group of the same session", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const run = await scene.shell(`echo $$; s6-setsid -b s6-envdir empty ${SHOW}; true`);
  const [leader = "", line = ""] = run.exits(0).stderrIs("").stdout.split("\n");
  const { pid, group, session } = shown(line);
  expect([group, session]).toEqual([pid, leader]);
});

bothWays(
  "s6-setsid reports a process group leader with a warning, silently, or with an error",
  async (scenes) => {
    await using scene = await scenes();
    const setsid = "unable to setsid: Operation not permitted";
    const warned = await scene.run("s6-setsid", ["echo", "ran"]);
    warned.exits(0).stdoutIs("ran\n").stderrIs(`s6-setsid: warning: ${setsid}\n`);
    (await scene.run("s6-setsid", ["-q", "echo", "ran"])).exits(0).stdoutIs("ran\n").stderrIs("");
    const strict = await scene.run("s6-setsid", ["-i", "echo", "ran"]);
    strict.exits(111).stdoutIs("").stderrIs(`s6-setsid: fatal: ${setsid}\n`);
    const twice = await scene.shell("s6-setsid -b s6-setsid --strict true; exit $?");
    twice.exits(111).stderrIs(`s6-setsid: fatal: ${setsid}\n`);
  },
);

bothWays("s6-setsid reports a descriptor that is no terminal", async (scenes) => {
  await using scene = await scenes();
  const none = await scene.run("s6-setsid", ["-q", "-f", "true"]);
  none.exits(111).stderrMatches(/^s6-setsid: fatal: unable to open \/dev\/tty: /);
  const file = await scene.shell("s6-setsid -g -d 0 echo ran; exit $?");
  file.exits(0).stdoutIs("ran\n");
  file.stderrIs("s6-setsid: warning: unable to tcsetpgrp: Inappropriate ioctl for device\n");
});

const script = peer("script");

if (!script.isMissing) {
  bothWays("s6-setsid -g takes the terminal for the program", async (scenes) => {
    await using scene = await scenes();
    const inner = `s6-setsid -g ${SHOW}; true`;
    const run = await scene.shell(`${script.path} -qec "${inner}" /dev/null`);
    const [, pid, group, foreground] = /(\d+) (\d+) \d+ (-?\d+)/.exec(run.stdout) ?? [];
    expect([group, foreground], run.stdout).toEqual([pid, pid]);
  });
}

bothWays("s6-setsid accepts its long options", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.shell(`s6-setsid --background-process-group --quiet ${SHOW}; true`);
  const { pid, group } = shown(run.exits(0).stdout);
  expect(group).toBe(pid);
  const unknown = await scene.run("s6-setsid", ["--nonsense", "true"]);
  unknown.exits(100).stderrIs("s6-setsid: fatal: unrecognized boolean option: --nonsense\n");
  (await scene.run("s6-setsid", ["-d"])).exits(100);
  (await scene.run("s6-setsid", ["--ctty=x", "true"])).exits(100);
});
