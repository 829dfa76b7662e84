import { expect } from "vitest";
import { bothWays, isRoot } from "../support/scene.ts";
import type { SceneMaker } from "../support/scene.ts";

/** `soft hard` of a resource, by the letter of ulimit, behind `words`; the hard one is 900 at first. */
async function limits(scenes: SceneMaker, letter: string, ...words: string[]): Promise<string> {
  await using scene = await scenes();
  const tell = `echo $(ulimit -S${letter}) $(ulimit -H${letter})`;
  const script = `ulimit -${letter} 900; ulimit -S${letter} 500; s6-softlimit ${words.join(" ")} sh -c '${tell}'`;
  const run = await scene.shell(script);
  run.exits(0).stderrIs("");
  return run.stdout.trim();
}

bothWays("s6-softlimit sets the soft limit, at most to the hard one", async (scenes) => {
  expect(await limits(scenes, "n", "-o", "100")).toBe("100 900");
  expect(await limits(scenes, "n", "-o", "5000")).toBe("900 900");
  expect(await limits(scenes, "n", "-o", "=")).toBe("900 900");
});

bothWays("s6-softlimit -H sets both, -h the hard limit and what is above it", async (scenes) => {
  expect(await limits(scenes, "n", "-H", "-o", "100")).toBe("100 100");
  expect(await limits(scenes, "n", "-h", "-o", "700")).toBe("500 700");
  expect(await limits(scenes, "n", "-h", "-o", "100")).toBe("100 100");
  expect(await limits(scenes, "n", "-o50", "-ho", "60")).toBe("50 60");
});

bothWays("s6-softlimit applies its options in order", async (scenes) => {
  expect(await limits(scenes, "n", "-o", "100", "-o", "200")).toBe("200 900");
  expect(await limits(scenes, "n", "-H", "-o", "100", "-h", "-o", "80")).toBe("80 80");
});

bothWays("s6-softlimit -m limits memory of every kind", async (scenes) => {
  await using scene = await scenes();
  const run = await scene.run("s6-softlimit", ["-m", "1000000000", "cat", "/proc/self/limits"]);
  run.exits(0);
  for (const name of ["data size", "stack size", "address space"]) {
    run.stdoutMatches(new RegExp(`Max ${name} +1000000000 `));
  }
});

bothWays(
  "the limits of several links add up, and the last one for a resource counts",
  async (scenes) => {
    await using scene = await scenes();
    const script = `s6-softlimit -o 90 -c 0 s6-softlimit -o 80 sh -c 'ulimit -Sn; ulimit -Sc'`;
    (await scene.shell(script)).exits(0).stdoutIs("80\n0\n");
  },
);

bothWays("s6-softlimit refuses invalid limits", async (scenes) => {
  await using scene = await scenes();
  const cases = [["-o", "x", "true"], ["-o", "-5", "true"], ["-Z", "true"], ["-o"], ["-o", "5"]];
  cases.push(["-o", "18446744073709551616", "true"]);
  for (const words of cases) {
    (await scene.run("s6-softlimit", words)).exits(100).stderrMatches(/s6-softlimit: usage: /);
  }
});

const unprivileged = isRoot ? "s6-setuidgid nobody" : "";

bothWays(
  "a hard limit that may not rise is exit code 111 in the name of s6-softlimit",
  async (scenes) => {
    await using scene = await scenes({ files: { "empty/": "" } });
    const chain = `${unprivileged} s6-softlimit -h -o 800 s6-softlimit -c 0 true`;
    const run = await scene.shell(`chmod 755 .; ulimit -n 700; ${chain}`);
    run.exits(111).stderrIs("s6-softlimit: fatal: unable to setrlimit: Operation not permitted\n");
  },
);
