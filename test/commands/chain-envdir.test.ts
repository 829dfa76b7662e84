import { expect } from "vitest";
import { bothWays, isRoot } from "../support/scene.ts";
import type { SceneMaker } from "../support/scene.ts";

/** The value of NAME as `options` make it of these bytes; undefined when it is not set. */
async function valueOf(
  scenes: SceneMaker,
  content: string | Uint8Array,
  ...options: string[]
): Promise<string | undefined> {
  await using scene = await scenes();
  scene.write("env/NAME", content);
  const words = [...options, "env", "sh", "-c", 'printf %s "${NAME-<unset>}"'];
  const run = await scene.run("s6-envdir", words, { env: { NAME: "old" } });
  run.exits(0).stderrIs("");
  return run.stdout === "<unset>" ? undefined : run.stdout;
}

bothWays("s6-envdir takes the first line, without white space at its end", async (scenes) => {
  expect(await valueOf(scenes, "a b \t\r\nsecond\n")).toBe("a b");
});

bothWays("s6-envdir removes the variable of an empty file", async (scenes) => {
  expect(await valueOf(scenes, "")).toBeUndefined();
});

bothWays("s6-envdir -L keeps a value without a newline, of any length", async (scenes) => {
  const long = "x".repeat(10_000);
  expect(await valueOf(scenes, long, "-L")).toBe(long);
  expect(await valueOf(scenes, long)).toBe("x".repeat(4095));
});

bothWays("s6-envdir -n, -f and -c change what a file stands for", async (scenes) => {
  expect(await valueOf(scenes, "a \nb\n", "-n")).toBe("a ");
  expect(await valueOf(scenes, "a \nb\n", "-f")).toBe("a \nb");
  expect(await valueOf(scenes, "a\0b\n")).toBe("a\nb");
  expect(await valueOf(scenes, "a\0b\n", "-c", "+")).toBe("a+b");
});

bothWays("s6-envdir ignores hidden files and names with =", async (scenes) => {
  await using scene = await scenes({ files: { "env/.hidden": "x", "env/A=B": "x", "env/C": "d" } });
  const run = await scene.shell("s6-envdir env env");
  run.exits(0).stdoutMatches(/^C=d$/m);
  expect(run.stdout).not.toMatch(/hidden|A=B/);
});

bothWays("s6-envdir reports a file that it cannot read and exits 111", async (scenes) => {
  await using scene = await scenes({ files: { file: "", "env/sub/": "", "fine/A": "b" } });
  const cases: [string[], string][] = [
    [["missing"], "unable to envdir missing: No such file or directory"],
    [["file"], "unable to envdir file: Not a directory"],
    [["-I", "file"], "unable to envdir file: Not a directory"],
    [["env"], "unable to envdir env: Is a directory"],
    [["-c", "", "fine"], "unable to envdir fine: Invalid argument"],
  ];
  for (const [words, problem] of cases) {
    const run = await scene.run("s6-envdir", [...words, "true"]);
    run.exits(111).stderrIs(`s6-envdir: fatal: ${problem}\n`);
  }
});

bothWays("s6-envdir -I ignores a directory that does not exist", async (scenes) => {
  await using scene = await scenes();
  (await scene.run("s6-envdir", ["-I", "missing", "echo", "ran"])).exits(0).stdoutIs("ran\n");
  (await scene.run("s6-envdir", ["-I", "-i", "missing", "echo", "ran"])).exits(111);
});

bothWays("s6-envdir without a program is a usage error", async (scenes) => {
  await using scene = await scenes({ files: { "env/": "" } });
  (await scene.run("s6-envdir", ["env"])).exits(100).stderrMatches(/s6-envdir: usage: s6-envdir /);
  (await scene.run("s6-envdir", [])).exits(100);
  (await scene.run("s6-envdir", ["-c"])).exits(100);
  (await scene.run("s6-envdir", ["-Z", "env", "true"])).exits(100);
});

if (isRoot) {
  bothWays("s6-envdir reads as the identity it has by then", async (scenes) => {
    await using scene = await scenes({ files: { "env/A": "secret\n" } });
    const script = "chmod 755 . env; chmod 600 env/A; s6-setuidgid nobody s6-envdir env env";
    (await scene.shell(script))
      .exits(111)
      .stderrIs("s6-envdir: fatal: unable to envdir env: Permission denied\n");
  });
}
