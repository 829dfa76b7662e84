import { expect, test } from "vitest";
import { bothWays, BIN, HELD_OPEN, newScene, peer } from "../support/scene.ts";

const OBSOLESCENT =
  "s6-fghack: warning: this program is obsolescent, please use s6-background-watch instead\n";

bothWays("s6-fghack exits as the program does, approximately", async (scenes) => {
  await using scene = await scenes();
  (await scene.run("s6-fghack", ["true"])).exits(0).stderrIs(OBSOLESCENT);
  (await scene.run("s6-fghack", ["sh", "-c", "exit 7"])).exits(7);
  (await scene.run("s6-fghack", ["sh", "-c", "exit 200"])).exits(128);
  (await scene.run("s6-fghack", ["sh", "-c", "kill -KILL $$"])).exits(137);
});

bothWays(
  "s6-fghack waits after the program has ended while a process holds its pipe",
  async (scenes) => {
    await using scene = await scenes();
    const script = "(echo background; cat <&8; echo end >&2) & exit 3";
    const words = ["-c", `exec 8<&0; exec s6-fghack sh -c '${script}'`];
    const hacked = scene.execute("/bin/sh", words, { input: HELD_OPEN });
    await hacked.line(/^background$/);
    hacked.endInput();
    (await hacked.finished()).exits(3).stderrIs(`${OBSOLESCENT}end\n`);
  },
);

bothWays("the program gets 31 descriptors of the pipe", async (scenes) => {
  await using scene = await scenes();
  const count =
    'n=0; for fd in /proc/$$/fd/*; do case $(readlink $fd) in "$P") n=$((n+1));; esac; done';
  const script = `P=$(readlink /proc/$$/fd/20); ${count}; echo $n`;
  (await scene.run("s6-fghack", ["sh", "-c", script])).exits(0).stdoutIs("31\n");
});

const prlimit = peer("prlimit");

test.skipIf(prlimit.isMissing)(
  "s6-fghack runs its program under a limit of 64 open files",
  async () => {
    await using scene = await newScene();
    const words = ["--nofile=64:64", `${BIN}/s6-fghack`, "echo", "ok"];
    (await scene.execute(prlimit.path, words).finished()).exits(0).stdoutIs("ok\n");
  },
);

bothWays("s6-fghack exits 102 when the program writes to the pipe", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.run("s6-fghack", ["sh", "-c", "echo hello >&8; exit 5"]);
  run.exits(102).stderrIs(`${OBSOLESCENT}s6-fghack: fatal: sh wrote on hackpipe\n`);
});

bothWays("s6-fghack exits 111 when it cannot start the program", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.run("s6-fghack", ["no-such-program"]);
  const problem = "unable to spawn no-such-program: No such file or directory";
  run.exits(111).stderrIs(`${OBSOLESCENT}s6-fghack: fatal: ${problem}\n`);
  (await scene.run("s6-fghack", [])).exits(100).stderrMatches(/s6-fghack: usage: /);
});

bothWays("s6-fghack holds a chain of links like a program", async (scenes) => {
  await using scene = await scenes({ files: { "env/A": "b\n" } });
  const words = ["s6-envdir", "env", "s6-softlimit", "-o", "64", "sh", "-c", "echo $A; ulimit -Sn"];
  (await scene.run("s6-fghack", words)).exits(0).stdoutIs("b\n64\n");
  const missing = await scene.run("s6-fghack", ["s6-envdir", "env", "no-such-program"]);
  missing.exits(127);
  expect(missing.stderr).toContain("s6-envdir: fatal: unable to exec no-such-program: ");
});
