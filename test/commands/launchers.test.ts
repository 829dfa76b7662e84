/**
 * The native launchers of bin/ and of folders that ucspi-link makes: where they find the package and a Node,
 * whom they believe, and what they do for their own process.
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withSettings } from "../../src/command/index.ts";
import { BIN, bothWays, isRoot, newScene, peer, ROOT } from "../support/scene.ts";

const PORTABLE = join(ROOT, "dist", "bin");

const BOTH = [
  ["native", BIN],
  ["portable", PORTABLE],
] as const;

const unshare = peer("unshare");
const prlimit = peer("prlimit");

/** Some kernels and mounts take no notice of set-user-ID. */
function honoursSetUserId(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-test-"));
  try {
    const file = join(folder, "id");
    copyFileSync("/usr/bin/id", file);
    chmodSync(folder, 0o755);
    chmodSync(file, 0o4755);
    return spawnSync(file, ["-u"], { uid: 65534, encoding: "utf8" }).stdout === "0\n";
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("ucspi-link", () => {
  test("ucspi-link makes launchers that work from anywhere, and are fused with those of the package", async () => {
    await using scene = await newScene({ files: { "other/": "" } });
    const folder = scene.path("linked");
    (await scene.run("ucspi", ["link", "linked"])).exits(0).stdoutMatches(/launchers in .*linked/);
    symlinkSync(join(folder, "s6-softlimit"), scene.path("by-another-name"));
    const words = ["-o", "77", "s6-setsid", "sh", "-c", "ulimit -n"];
    for (const file of [join(folder, "s6-softlimit"), "../by-another-name"]) {
      const env = { PATH: `${folder}:/usr/bin:/bin` };
      const options = { directory: scene.path("other"), env };
      (await scene.execute(file, words, options).finished()).exits(0).stdoutIs("77\n");
    }
    const explained = ["--explain", "-o", "7", join(folder, "s6-setsid"), "true"];
    (await scene.run("s6-softlimit", explained)).exits(0).stdoutMatches(/^ {2}session: setsid$/m);
  });

  test("ucspi-link leaves a folder alone that has something else under those names", async () => {
    await using scene = await newScene({ files: { "linked/s6-envdir": "mine" } });
    const refused = await scene.run("ucspi-link", ["linked"]);
    refused.exits(100).stderrMatches(/has something else as s6-envdir$/m);
    expect(scene.read("linked/s6-envdir")).toBe("mine");
    (await scene.run("ucspi-link", ["--force", "linked"])).exits(0);
    (await scene.run("ucspi-link", ["linked"])).exits(0); // its own it may replace
  });

  test("ucspi-link fails where no folder can be made, and where its name is empty", async () => {
    await using scene = await newScene();
    const refused = await scene.run("ucspi", ["link", "/proc/no/folder"]);
    refused.exits(111).stderrMatches(/unable to fill .proc.no.folder: ENOENT/);
    const empty = await scene.run("ucspi", ["link", ""]);
    empty.exits(100).stderrMatches(/the name of the folder is empty/);
  });

  test("ucspi-link reports that the folder cannot be made", async () => {
    await using scene = await newScene({ files: { file: "" } });
    const run = await scene.run("ucspi-link", ["file/linked"]);
    run.exits(111).stderrMatches(/^ucspi-link: fatal: unable to fill .*: ENOTDIR$/m);
  });
});

describe("a native launcher", () => {
  /** One that was made for `node`, a file that is gone by now. */
  function madeForLostNode(file: string, root: string): void {
    const node = `${file}.node`;
    copyFileSync("/bin/true", node);
    const native = readFileSync(join(BIN, "s6-softlimit"));
    writeFileSync(file, withSettings(native, { root, node, nodeVersion: "v99.0.0" }));
    chmodSync(file, 0o755);
    rmSync(node);
  }

  test("a native launcher takes the Node in PATH where its own is gone, without options that may be unknown to it", async () => {
    await using scene = await newScene();
    madeForLostNode(scene.path("s6-softlimit"), ROOT);
    const words = ["-o", "50", "sh", "-c", "ulimit -n"];
    const run = scene.execute(scene.path("s6-softlimit"), words);
    (await run.finished()).exits(0).stdoutIs("50\n").stderrIs("");
  });

  test("a native launcher reports that there is no Node at all, and exits 127", async () => {
    await using scene = await newScene({ files: { "empty/": "" } });
    madeForLostNode(scene.path("s6-softlimit"), ROOT);
    const env = { PATH: scene.path("empty") };
    const run = scene.execute(scene.path("s6-softlimit"), ["true"], { env });
    (await run.finished())
      .exits(127)
      .stderrMatches(/^s6-softlimit: fatal: unable to execute node: /);
  });

  test("a native launcher reports that its package is gone, or that its name is not one of its commands", async () => {
    await using scene = await newScene();
    madeForLostNode(scene.path("s6-softlimit"), scene.path("nowhere"));
    const lost = await scene.execute(scene.path("s6-softlimit"), ["true"]).finished();
    lost.exits(111).stderrMatches(/the package of this launcher is gone/);
    madeForLostNode(scene.path("some-name"), ROOT);
    const unnamed = await scene.execute(scene.path("some-name"), ["true"]).finished();
    unnamed.exits(111).stderrMatches(/^some-name: fatal: .*dist\/bin\/some-name$/m);
  });

  test.skipIf(!isRoot || !honoursSetUserId())(
    "a native launcher refuses to run set-user-ID",
    async () => {
      await using scene = await newScene();
      chmodSync(scene.directory, 0o755);
      madeForLostNode(scene.path("s6-softlimit"), ROOT);
      chmodSync(scene.path("s6-softlimit"), 0o4755);
      const words = ["nobody", "env", scene.path("s6-softlimit"), "true"];
      (await scene.run("s6-setuidgid", words)).exits(111).stderrMatches(/not set-user-ID/);
    },
  );

  test("a native launcher gives the limit of the heap to its own Node and to no program", async () => {
    await using scene = await newScene();
    const script = "tr '\\0' ' ' </proc/$PPID/cmdline; env";
    const env = { UCSPI_HEAP_MB: "77" };
    const run = await scene.run("s6-fghack", ["sh", "-c", script], { env });
    run.exits(0).stdoutMatches(/^node (?:--disable-sigusr1 )?--max-old-space-size=77 /);
    expect(run.stdout).not.toMatch(/UCSPI_HEAP_MB/);
    const wrong = await scene.run("s6-fghack", ["true"], { env: { UCSPI_HEAP_MB: "77k" } });
    wrong.exits(100).stderrMatches(/^s6-fghack: fatal: UCSPI_HEAP_MB is not a number/);
  });

  test("a native launcher keeps variables from Node that would stop it", async () => {
    await using scene = await newScene();
    const env = { NODE_OPTIONS: "--no-such-option", NODE_CHANNEL_FD: "77" };
    const run = await scene.run("s6-softlimit", ["-o", "50", "sh", "-c", "echo $NODE_OPTIONS"], {
      env,
    });
    run.exits(0).stdoutIs("--no-such-option\n").stderrIs("");
  });
});

bothWays(
  "the part of an oom score that a launcher adds is not passed to any program",
  async (scenes) => {
    await using scene = await scenes({ files: { "empty/": "" } });
    const env = { UCSPI_OOM_SCORE_ADJ: "300" };
    const script = "cat /proc/$PPID/oom_score_adj /proc/self/oom_score_adj; env";
    const words = ["s6-envdir", "empty", "sh", "-c", script];
    const run = await scene.run("s6-fghack", words, { env });
    run.exits(0).stdoutMatches(/^300\n0\n/);
    expect(run.stdout).not.toMatch(/UCSPI_OOM/);
    const become = ["-o", "50", "s6-envdir", "empty", "cat", "/proc/self/oom_score_adj"];
    (await scene.run("s6-softlimit", become, { env })).exits(0).stdoutIs("0\n");
    const wrong = await scene.run("s6-softlimit", ["true"], {
      env: { UCSPI_OOM_SCORE_ADJ: "1001" },
    });
    wrong.exits(100).stderrMatches(/UCSPI_OOM_SCORE_ADJ is not a number/);
  },
);

describe.each(BOTH)("the notes of the %s launcher", (_, folder) => {
  const forged = [
    "1;1;0;7;0-2;18446744073709551615;18446744073709551615;/somewhere",
    "1;PID;0;7;!0,1,2;1;1;",
    "rubbish",
  ];

  test.each(forged)("notes that a launcher did not write are ignored: %s", async (notes) => {
    await using scene = await newScene();
    const script = 'ulimit -Sn; grep SigIgn /proc/self/status; env | grep "^UCSPI_"; echo open';
    const command = `UCSPI_INHERITED='${notes.replace("PID", "'$$'")}' UCSPI_ASIDE_A=b`;
    const run = await scene.shell(
      `ulimit -Sn 250; ${command} ${join(folder, "s6-envdir")} . sh -c '${script}'`,
    );
    run.exits(0).stdoutIs("250\nSigIgn:\t0000000000000000\nUCSPI_ASIDE_A=b\nopen\n");
  });

  test("cost nothing where they name descriptors that are not open", async () => {
    await using scene = await newScene();
    const start = "$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)";
    const ranges = Array.from({ length: 1000 }, () => "0-1073741823").join(",");
    const run = await scene.shell(
      `UCSPI_INHERITED="1;$$;${start};99;${ranges};0;0;/" exec ${join(folder, "s6-envdir")} . true`,
    );
    run.exits(0);
  });
});

describe.each(BOTH)("the environment, under the %s launcher,", (_, folder) => {
  test("keeps a variable whose name is not UTF-8", async () => {
    await using scene = await newScene({ files: { "empty/": "" } });
    const run = await scene.shell(
      `env "$(printf 'A\\377\\376')=b" ${join(folder, "s6-envdir")} empty env | LC_ALL=C grep -ac "$(printf '^A\\377\\376=b')"`,
    );
    run.exits(0).stdoutIs("1\n");
  });
});

test("an empty PATH leads to no program", async () => {
  await using scene = await newScene();
  const run = await scene.run("s6-softlimit", ["-o", "50", "true"], { env: { PATH: "" } });
  run.exits(127).stderrIs("s6-softlimit: fatal: unable to exec true: No such file or directory\n");
});

test.skipIf(!isRoot || unshare.isMissing)(
  "a command that is pid 1 and does not care for signals is ended by them",
  async () => {
    await using scene = await newScene();
    const clock = [join(BIN, "s6-taiclockd"), "-1", "-p", "0", "-i", "127.0.0.1"];
    const first = scene.execute(unshare.path, ["-pf", ...clock]);
    await first.line(/^\d+$/);
    const pid = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, "latin1");
    process.kill(Number(pid), "SIGTERM");
    (await first.finished()).exits(143);
  },
);

describe.each(BOTH)("without /proc, the %s launcher", (_, folder) => {
  test.skipIf(!isRoot || unshare.isMissing)(
    "descriptors 0 to 2 are left as they are where /proc is missing",
    async () => {
      await using scene = await newScene();
      const hidden = "mount -t tmpfs none /proc";
      const chain = `${join(folder, "s6-softlimit")} -f 1000000 s6-setsid`;
      const script = `${hidden} && echo in | ${chain} sh -c 'cat; echo err >&2; echo five >&5' 5>five`;
      const run = await scene.execute(unshare.path, ["-m", "sh", "-c", script]).finished();
      run.exits(0).stdoutIs("in\n").stderrIs("err\n");
      expect(scene.read("five")).toBe("five\n");
    },
  );
});

test.skipIf(prlimit.isMissing)(
  "a native launcher refuses a hard limit on open files under which Node would crash",
  async () => {
    await using scene = await newScene();
    const words = ["--nofile=17:17", `${BIN}/s6-setsid`, "echo", "ok"];
    const run = await scene.execute(prlimit.path, words).finished();
    run
      .exits(111)
      .stderrIs("s6-setsid: fatal: the hard limit on open files leaves too few for Node\n");
  },
);

test("a debugger that is open when the first line runs is closed by that line", async () => {
  await using scene = await newScene();
  const script = `
    for inode in $(ls -l /proc/$PPID/fd | sed -n 's/.*socket:.\\([0-9]*\\).*/\\1/p'); do
      grep " 0A .* $inode " /proc/net/tcp
    done
    echo looked`;
  const run = await scene
    .execute(join(PORTABLE, "s6-fghack"), ["sh", "-c", script], {
      env: { NODE_OPTIONS: "--inspect=0" },
    })
    .finished();
  run.stdoutIs("looked\n").stderrMatches(/Debugger listening/);
});
