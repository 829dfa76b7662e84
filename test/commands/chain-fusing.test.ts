/** Chains of several links: the same from outside whether they are fused or each link is executed. */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BIN, bothWays, isRoot, newScene } from "../support/scene.ts";

/** Prints its name, its words and one variable. */
const TELL = '#!/bin/sh\nprintf "%s:" "${0##*/}" "$@"; printf "%s\\n" "${NAME-unset}"\n';

bothWays("a chain of several links runs the program with all their edits", async (scenes) => {
  await using scene = await scenes({ files: { "one/A": "1\n", "two/B": "2\n", "two/A": "3\n" } });
  const script = 's6-envdir one s6-softlimit -o 77 s6-envdir two sh -c "echo $A $B; ulimit -Sn"';
  const run = await scene.shell(script.replaceAll("$", "\\$"));
  run.exits(0).stdoutIs("3 2\n77\n").stderrIs("");
});

bothWays("a missing program is exit code 127 in the name of the last link", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const run = await scene.run("s6-softlimit", [
    "-o",
    "50",
    "s6-envdir",
    "empty",
    "no-such-program",
  ]);
  run
    .exits(127)
    .stderrIs("s6-envdir: fatal: unable to exec no-such-program: No such file or directory\n");
});

bothWays("a program that cannot be executed is exit code 126", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "", "not-executable": "text" } });
  const run = await scene.run("s6-envdir", ["empty", "./not-executable"]);
  run.exits(126).stderrIs("s6-envdir: fatal: unable to exec ./not-executable: Permission denied\n");
});

bothWays("the usage error of a later link ends the chain with 100", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const run = await scene.run("s6-envdir", ["empty", "s6-softlimit", "-o", "many", "true"]);
  run.exits(100).stderrMatches(/^s6-softlimit: fatal: .*\ns6-softlimit: usage: s6-softlimit /);
});

bothWays("the PATH that a link sets applies to the words after the next one", async (scenes) => {
  await using scene = await scenes({ files: { "local/tell": TELL } });
  const { directory } = scene;
  scene.write("path/PATH", `${directory}/local:${BIN}:/usr/bin:/bin\n`);
  const direct = await scene.run("s6-envdir", ["path", "tell", "a"]);
  direct.exits(127); // searched by the PATH of before, as in the C suite
  const later = await scene.run("s6-envdir", ["path", "s6-softlimit", "-o", "60", "tell", "a"]);
  later.exits(0).stdoutIs("tell:a:unset\n");
});

bothWays("a foreign program of the same name that comes first is executed", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "", "other/s6-softlimit": TELL } });
  const env = { PATH: `${scene.path("other")}:${BIN}:/usr/bin:/bin` };
  const run = await scene.run("s6-envdir", ["empty", "s6-softlimit", "-o", "10", "true"], { env });
  run.exits(0).stdoutIs("s6-softlimit:-o:10:true:unset\n");
});

bothWays("a link is found by path and by symbolic link", async (scenes) => {
  await using scene = await scenes({ files: { "env/NAME": "found\n", tell: TELL } });
  const script = `ln -s ${join(BIN, "s6-envdir")} mine && s6-softlimit -o 70 ./mine env ./tell`;
  (await scene.shell(script)).exits(0).stdoutIs("tell:found\n");
});

bothWays("words and variables that are not UTF-8 pass through byte for byte", async (scenes) => {
  await using scene = await scenes();
  scene.write("env/NAME", Buffer.from("v\xff\xfe\xc3\xa9\x80\n", "latin1"));
  const script = `s6-envdir env s6-softlimit -o 70 printf '%s|' "$(printf 'a\\377b')" é "" ' '
    V=$(printf '\\200\\377') s6-envdir env s6-softlimit -o 70 sh -c 'printf "%s|%s" "$NAME" "$V"'`;
  const expected = Buffer.from("a\xffb|\xc3\xa9|| |v\xff\xfe\xc3\xa9\x80|\x80\xff", "latin1");
  (await scene.shell(script)).exits(0).stdoutIs(expected);
});

bothWays("the exit code is the program's, and so is the signal that kills it", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  (await scene.run("s6-envdir", ["empty", "sh", "-c", "exit 42"])).exits(42);
  const run = await scene.run("s6-envdir", [
    "empty",
    "s6-envdir",
    "empty",
    "sh",
    "-c",
    "kill -KILL $$",
  ]);
  run.diesOf("SIGKILL");
});

bothWays("the program keeps the process id of the first link", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const started = scene.start("s6-envdir", [
    "empty",
    "s6-softlimit",
    "-o",
    "60",
    "sh",
    "-c",
    "echo $$",
  ]);
  (await started.finished()).exits(0).stdoutIs(`${started.pid}\n`);
});

bothWays("a chain may be long", async (scenes) => {
  await using scene = await scenes({ files: { "empty/": "" } });
  const links = Array.from({ length: 8 }, () => ["s6-envdir", "empty"])
    .flat()
    .slice(1);
  (await scene.run("s6-envdir", [...links, "echo", "end"])).exits(0).stdoutIs("end\n");
});

describe("--explain", () => {
  test("--explain prints the chain and the environment that the program starts with", async () => {
    await using scene = await newScene({ files: { "env/NAME": "value\n" } });
    const words = ["--explain", "-o", "50", "s6-envdir", "env", "echo", "a b"];
    const run = await scene.run("s6-softlimit", words);
    run
      .exits(0)
      .stderrIs("")
      .stdoutMatches(
        /^s6-softlimit -o 50\ns6-envdir env\necho 'a b'\n {2}environment: NAME=value\n {2}limit nofile: soft 50, hard \d+\n$/,
      );
  });

  test("--explain runs nothing, locks nothing and makes no session", async () => {
    await using scene = await newScene({ files: { "empty/": "" } });
    const words = ["--explain", "lock", "s6-setsid", "s6-fghack", "touch", "ran"];
    const run = await scene.run("s6-setlock", words);
    run
      .exits(0)
      .stdoutMatches(/takes an exclusive lock on lock/)
      .stdoutMatches(/touch ran/);
    expect(scene.has("lock")).toBe(false);
    expect(scene.has("ran")).toBe(false);
  });

  test.skipIf(!isRoot)("--explain shows an identity and does not take it", async () => {
    await using scene = await newScene();
    const run = await scene.run("s6-setuidgid", ["--explain", "1:2", "touch", "ran"]);
    run.exits(0).stdoutMatches(/ {2}groups: 2\n {2}gid: 2\n {2}uid: 1\n/);
    expect(scene.has("ran")).toBe(false);
  });

  test("--explain shows a word that is not ours as the program", async () => {
    await using scene = await newScene({ files: { "empty/": "", "other/s6-softlimit": TELL } });
    const env = { PATH: `${scene.path("other")}:${BIN}:/usr/bin:/bin` };
    const words = ["--explain", "empty", "s6-softlimit", "-o", "10", "true"];
    (await scene.run("s6-envdir", words, { env }))
      .exits(0)
      .stdoutMatches(/\ns6-softlimit -o 10 true\n/);
  });
});
