/** s6-envuidgid, s6-applyuidgid and s6-setuidgid, alone and one after the other. */

import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { bothWays, withoutOthers } from "../support/scene.ts";
import type { SceneMaker } from "../support/scene.ts";

const NUMBERS = 'printf "%s %s %s\\n" "${UID-none}" "${GID-none}" "${GIDLIST-none}"';

/** The values of UID, GID and GIDLIST behind `s6-envuidgid WORDS`. */
async function numbers(scenes: SceneMaker, ...words: string[]): Promise<string> {
  await using scene = await scenes();
  const run = await scene.run("s6-envuidgid", [...words, "env"]);
  run.exits(0).stderrIs("");
  const [uid, gid, list] = ["UID", "GID", "GIDLIST"].map(
    (name) => new RegExp(`^${name}=(.*)$`, "m").exec(run.stdout)?.[1] ?? "none",
  );
  return `${uid} ${gid} ${list}`;
}

/** uid, gid and groups of the program behind a chain. */
const WHO =
  "sed -n -E 's/^(Uid|Gid):\\t([0-9]+).*/\\2/p; s/^Groups:\\t(.*)/\\1/p' /proc/self/status";

async function identity(scenes: SceneMaker, chain: string): Promise<string> {
  await using scene = await scenes();
  const run = await scene.shell(`${chain} ${WHO}`);
  run.exits(0).stderrIs("");
  return run.stdout.trim().split(/\s+/).join(" ");
}

bothWays("s6-envuidgid sets the numbers of an account", async (scenes) => {
  expect(await numbers(scenes, "root")).toBe("0 0 ");
  expect(await numbers(scenes, "-u", "root")).toBe("0 none none");
  expect(await numbers(scenes, "-g", "root")).toBe("none 0 none");
  expect(await numbers(scenes, "-B", "daemon:bin")).toBe("1 2 none");
  expect(await numbers(scenes, "-B", ":bin")).toBe("0 2 none");
  expect(await numbers(scenes, "-B", "daemon")).toBe("1 0 none");
});

bothWays("s6-envuidgid -n takes numbers", async (scenes) => {
  expect(await numbers(scenes, "-n", "55:66")).toBe("55 66 none");
  expect(await numbers(scenes, "-n", "55")).toBe("55 0 none");
  expect(await numbers(scenes, "-nu", "55")).toBe("55 none none");
  expect(await numbers(scenes, "-ng", "55")).toBe("none 55 none");
  expect(await numbers(scenes, "-nB", "daemon:66")).toBe("1 66 none");
});

bothWays("s6-envuidgid -D gives the numbers of an unknown account", async (scenes) => {
  expect(await numbers(scenes, "-D", "1:2:3,4", "no-such-account")).toBe("1 2 3,4");
  expect(await numbers(scenes, "-D", "1:2:3:4", "no-such-account")).toBe("1 2 3,4");
  expect(await numbers(scenes, "-D", "::", "no-such-account")).toBe("0 0 ");
  expect(await numbers(scenes, "-D", "1:2:3", "-B", "root:no-such-group")).toBe("0 2 none");
  expect(await numbers(scenes, "-i", "-D", "1", "no-such-account")).toBe("1 0 ");
});

bothWays(
  "s6-envuidgid exits 1 for an unknown account and 100 for an invalid one",
  async (scenes) => {
    await using scene = await scenes();
    const unknown = await scene.run("s6-envuidgid", ["no-such-account", "true"]);
    unknown.exits(1).stderrIs("s6-envuidgid: fatal: unknown user: no-such-account\n");
    const group = await scene.run("s6-envuidgid", ["-B", "root:no-such-group", "true"]);
    group.exits(1).stderrIs("s6-envuidgid: fatal: unknown group: no-such-group\n");
    (await scene.run("s6-envuidgid", ["-D", "1:2:3", "-i", "no-such-account", "true"])).exits(1);
    for (const defaults of ["", "x", "1:x", "1:2:x", "4294967296"]) {
      (await scene.run("s6-envuidgid", ["-D", defaults, "root", "true"])).exits(100);
    }
    (await scene.run("s6-envuidgid", ["root"])).exits(100);
  },
);

bothWays("s6-applyuidgid -U requires all three variables", async (scenes) => {
  await using scene = await scenes();
  const cases: [Record<string, string>, string][] = [
    [{}, "UID not set"],
    [{ UID: "1" }, "GID not set"],
    [{ UID: "1", GID: "1" }, "GIDLIST not set"],
    [{ UID: "x", GID: "1", GIDLIST: "" }, "invalid $UID"],
    [{ UID: "1", GID: "-1", GIDLIST: "" }, "invalid $GID"],
    [{ UID: "1", GID: "1", GIDLIST: "x" }, "invalid $GIDLIST"],
    [{ UID: "1", GID: "1", GIDLIST: "5,,6" }, "invalid $GIDLIST"],
  ];
  for (const [env, problem] of cases) {
    const run = await scene.run("s6-applyuidgid", ["-U", "true"], { env });
    run.exits(100).stderrIs(`s6-applyuidgid: fatal: ${problem}\n`);
  }
});

bothWays("s6-applyuidgid -z removes the variables", async (scenes) => {
  await using scene = await scenes();
  const env = { UID: "1", GID: "2", GIDLIST: "3", KEPT: "4" };
  const run = await scene.run("s6-applyuidgid", ["-z", "env"], { env });
  run.exits(0).stdoutMatches(/^KEPT=4$/m);
  expect(run.stdout).not.toMatch(/^G?UI?D/m);
});

bothWays("0 stands for the present user and group in s6-applyuidgid", async (scenes) => {
  await using scene = await scenes();
  (await scene.run("s6-applyuidgid", ["-u", "0", "-g", "0", "echo", "ran"])).exits(0);
  (await scene.run("s6-setuidgid", ["", "echo", "ran"])).exits(0).stdoutIs("ran\n");
});

bothWays("s6-setuidgid runs nothing for an account that is unknown or invalid", async (scenes) => {
  await using scene = await scenes();
  const unknown = await scene.run("s6-setuidgid", ["no-such-account", "echo", "ran"]);
  unknown.exits(1).stdoutIs("").stderrIs("s6-setuidgid: fatal: unknown user: no-such-account\n");
  for (const account of ["5:", ":6", "5:x", "5:6:7", ":"]) {
    (await scene.run("s6-setuidgid", [account, "echo", "ran"])).exits(100).stdoutIs("");
  }
  for (const words of [
    ["-u", "x"],
    ["-g", "4294967296"],
    ["-G", "x"],
    ["-G", ","],
    ["-G", " "],
    ["-G", "5,"],
    ["-G", "5,,6"],
    ["-G", "5,4294967296"],
  ]) {
    (await scene.run("s6-applyuidgid", [...words, "echo", "ran"])).exits(100).stdoutIs("");
  }
});

describe.skipIf(withoutOthers !== "")(`as root${withoutOthers}`, () => {
  bothWays("s6-applyuidgid changes the ids that are given, and no others", async (scenes) => {
    expect(await identity(scenes, "s6-applyuidgid -u 5 -g 6 -G 8,7")).toBe("5 6 6 7 8");
    expect(await identity(scenes, "s6-applyuidgid -G 7,9")).toBe("0 0 0 7 9");
    expect(await identity(scenes, "s6-applyuidgid -G 7,9 s6-applyuidgid -G ''")).toBe("0 0 0");
    expect(await identity(scenes, "UID=3 GID=4 GIDLIST=9 s6-applyuidgid -U -u 11")).toBe(
      "11 4 4 9",
    );
    expect(await identity(scenes, "UID=3 GID=4 GIDLIST=9 s6-applyuidgid -u 11 -U")).toBe("3 4 4 9");
  });

  bothWays("s6-setuidgid takes an account, or numbers without other groups", async (scenes) => {
    expect(await identity(scenes, "s6-setuidgid 5:6")).toBe("5 6 6");
    const [, uid, gid] =
      /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8")) ?? [];
    expect(await identity(scenes, "s6-setuidgid nobody")).toBe(`${uid} ${gid} ${gid}`);
  });

  bothWays("the parts of an identity add up along a chain", async (scenes) => {
    expect(
      await identity(scenes, "s6-applyuidgid -g 6 s6-applyuidgid -G 8 s6-applyuidgid -u 5"),
    ).toBe("5 6 6 8");
    expect(await identity(scenes, "s6-envuidgid -n 5:6 env GIDLIST=7 s6-applyuidgid -Uz")).toBe(
      "5 6 6 7",
    );
  });

  bothWays(
    "a process that has given up root cannot return to it, nor take any other identity",
    async (scenes) => {
      await using scene = await scenes();
      const groups = "unable to set supplementary group list: Operation not permitted";
      const setuid = "unable to setuid: Operation not permitted";
      const back = await scene.shell("s6-setuidgid nobody s6-setuidgid 5:6 touch ran");
      back.exits(111).stderrIs(`s6-setuidgid: fatal: ${groups}\n`);
      const other = await scene.shell(
        "s6-setuidgid nobody s6-softlimit -c 0 s6-applyuidgid -u 5 touch ran",
      );
      other.exits(111).stderrIs(`s6-applyuidgid: fatal: ${setuid}\n`);
      expect(scene.has("ran")).toBe(false);
    },
  );

  bothWays("a number that the kernel refuses is exit code 111", async (scenes) => {
    await using scene = await scenes();
    const run = await scene.run("s6-applyuidgid", ["-u", "4294967295", "true"]);
    run.exits(111).stderrIs("s6-applyuidgid: fatal: unable to setuid: Invalid argument\n");
  });

  bothWays(
    "the variables that s6-setuidgid NAME uses internally do not reach the program",
    async (scenes) => {
      await using scene = await scenes();
      const run = await scene.shell(`s6-setuidgid nobody sh -c '${NUMBERS}'`, {
        env: { UID: "1", GID: "2", GIDLIST: "3" },
      });
      run.exits(0).stdoutIs("none none none\n");
    },
  );
});
