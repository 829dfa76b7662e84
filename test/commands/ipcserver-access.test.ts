import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { bothWays, newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { askPath } from "../ucspi/dial.ts";
import { startLocalServer } from "../ucspi/servers.ts";

const NAME = "s6-ipcserver-access";
const posix = loadPosix();
const UID = posix.geteuid();
const GID = posix.getegid();
const execlineb = peer("execlineb");

/** Ids that no process of a test has. */
const CLIENT = { PROTO: "IPC", IPCREMOTEEUID: "70007", IPCREMOTEEGID: "80008" };

function access(
  scene: Scene,
  options: string,
  program: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Run> {
  const words = [...options.split(" ").filter(Boolean), ...program];
  return scene.run(NAME, words, { env: { ...CLIENT, ...env } });
}

describe("the variables of a local client", () => {
  test("the variables of a local client are required, and named when they are missing", async () => {
    await using scene = await newScene();
    for (const name of Object.keys(CLIENT)) {
      const run = await access(scene, "-E", ["touch", "ran"], { [name]: undefined });
      run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: ${name} not set\n`);
    }
    const run = await access(scene, "-E", ["touch", "ran"], { IPCREMOTEEUID: "x" });
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: invalid $IPCREMOTEEUID\n`);
    expect(scene.has("ran")).toBe(false);
  });

  test("the variables of a local client may belong to another protocol", async () => {
    await using scene = await newScene({ files: { "rules/uid/1/allow": "" } });
    const env = { PROTO: "X", XREMOTEEUID: "1", XREMOTEEGID: "2" };
    const run = await access(scene, "-l here -i rules", ["printenv", "XLOCALPATH"], env);
    run.exits(EXIT.ok).stdoutIs("here\n");
  });

  bothWays("the variables of a local client are all unset with -E", async (newScene) => {
    await using scene = await newScene();
    const env = { IPCREMOTEPATH: "", IPCLOCALPATH: "stale", IPCCONNNUM: "0" };
    const show = ["sh", "-c", "env | grep -cE '^(PROTO|IPC)'"];
    (await access(scene, "-v0 -E", show, env)).exits(1).stdoutIs("0\n").stderrIs("");
  });
});

describe("local rules", () => {
  const files = {
    "rules/uid/70007/allow": "",
    "rules/uid/70008/deny": "",
    "rules/gid/80008/allow": "",
    "rules/gid/80008/env/FOO": "bar  \t\nsecond",
    "rules/gid/80008/env/GONE": "",
    "rules/gid/80008/env/EMPTY": "\n",
    "rules/gid/80009/deny": "",
  };
  const cases = [
    ["70007", "80009", 0],
    ["70008", "80008", 1],
    ["70009", "80008", 0],
    ["70009", "80009", 1],
    ["70009", "80010", 1],
  ] as const;

  for (const [kind, option] of [
    ["a directory", "-i rules"],
    ["a CDB file", "-x rules.cdb"],
  ] as const) {
    test(`local rules in ${kind} admit and refuse by user and group`, async () => {
      await using scene = await newScene({ files });
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
      for (const [uid, gid, code] of cases) {
        const env = { IPCREMOTEEUID: uid, IPCREMOTEEGID: gid };
        const run = await access(scene, `-v0 -E ${option}`, ["echo", "in"], env);
        run
          .exits(code)
          .stderrIs("")
          .stdoutIs(code === 0 ? "in\n" : "");
      }
    });

    bothWays(`local rules in ${kind} set and unset variables`, async (newScene) => {
      await using scene = await newScene({ files });
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
      const env = { IPCREMOTEEUID: "70009", GONE: "here", EMPTY: "x" };
      const show = ["sh", "-c", 'echo "<$FOO>" ${GONE-unset} "[${EMPTY-unset}]" $IPCLOCALPATH'];
      const run = await access(scene, `-v0 -l here ${option}`, show, env);
      run.exits(EXIT.ok).stdoutIs("<bar> unset [] here\n").stderrIs("");
    });
  }

  test("local rules on uid/self and gid/self are about the ids of the checker", async () => {
    const own = { IPCREMOTEEUID: String(UID), IPCREMOTEEGID: "80008" };
    await using scene = await newScene({
      files: { "user/uid/self/allow": "", "group/gid/self/allow": "" },
    });
    const ask = async (rules: string, env: Record<string, string>) =>
      (await access(scene, `-v0 -E -i ${rules}`, ["true"], env)).exitCode;
    expect([await ask("user", own), await ask("user", {})]).toEqual([0, 1]);
    const group = { IPCREMOTEEGID: String(GID) };
    expect([await ask("group", group), await ask("group", {})]).toEqual([0, 1]);
  });

  test("local rules are logged with their verdict, as in the C suite", async () => {
    await using scene = await newScene({ files });
    const allowed = await access(scene, "-v1 -E -i rules", ["true"]);
    allowed
      .exits(0)
      .stderrMatches(/^s6-ipcserver-access: info: allow pid \d+ uid 70007 gid 80008\n$/);
    const denied = await access(scene, "-v2 -E -i rules", ["true"], { IPCREMOTEEUID: "70008" });
    denied.exits(1).stderrMatches(/: info: deny pid \d+ uid 70008 gid 80008: Permission denied\n$/);
    const env = { IPCREMOTEEUID: "1", IPCREMOTEEGID: "1" };
    const unknown = await access(scene, "-v2 -E -i rules", ["true"], env);
    unknown.exits(1).stderrMatches(/ uid 1 gid 1: No such file or directory\n$/);
    const silent = await access(scene, "-E -i rules", ["true"], env);
    silent.exits(1).stderrIs("");
  });

  test("local rules refuse in records when they are asked for", async () => {
    await using scene = await newScene({ files });
    const env = { IPCREMOTEEUID: "70008", IPCREMOTEPATH: "/run/c" };
    const run = await access(scene, "--refusals=json -l /run/s -i rules", ["true"], env);
    expect(JSON.parse(run.exits(1).stderr)).toEqual({
      event: "refused",
      remoteUid: 70008,
      remoteGid: 80008,
      remotePath: "/run/c",
      localPath: "/run/s",
      by: "rule",
      reason: "uid/70008",
    });
    const none = { IPCREMOTEEUID: "1", IPCREMOTEEGID: "2" };
    (await access(scene, "--refusals=text -i rules", ["true"], none))
      .exits(1)
      .stderrIs(`${NAME}: info: refused uid 1 gid 2 by rule: no rule matches\n`);
  });

  test("local rules that cannot be read admit nobody", async () => {
    await using scene = await newScene({ files: { "bad.cdb": "x".repeat(100) } });
    for (const [options, code, problem] of [
      ["-x missing.cdb", 111, /^s6-ipcserver-access: fatal: unable to read missing\.cdb: No such/],
      ["-x bad.cdb", 111, /^s6-ipcserver-access: fatal: .*bad\.cdb/],
      ["-i missing", 1, /^s6-ipcserver-access: warning: the directory missing does not exist/],
    ] as const) {
      const run = await access(scene, `-E ${options}`, ["touch", "ran"]);
      run.exits(code).stderrMatches(problem);
    }
    expect(scene.has("ran")).toBe(false);
  });

  test("local rules that are not given admit everybody, and that is told", async () => {
    await using scene = await newScene();
    (await access(scene, "-E", ["echo", "in"])).exits(0).stdoutIs("in\n");
    const run = await access(scene, "-v2 -E", ["echo", "in"]);
    run.exits(0).stderrMatches(/^s6-ipcserver-access: warning: invoked without a ruleset!\n/);
  });

  test.skipIf(execlineb.isMissing)(
    `local rules run their script in place of the program, and substitute nothing in it${execlineb.why}`,
    async () => {
      await using scene = await newScene({
        files: { "rules/uid/70007/allow": "", "rules/uid/70007/exec": "echo EXEC $1\n" },
      });
      const run = await access(scene, "-v0 -E -i rules", ["touch", "ran"]);
      run.exits(0).stdoutIs("EXEC $1\n");
      expect(scene.has("ran")).toBe(false);
    },
  );
});

describe("behind a local server", () => {
  bothWays("behind a local server rules decide about every client", async (newScene) => {
    const files = { "rules/uid/default/allow": "", "rules/uid/default/env/BY": "default\n" };
    await using scene = await newScene({ files });
    const gate = [NAME, "-i", "rules", "sh", "-c", "echo $BY $IPCLOCALPATH"];
    const { path, process } = await startLocalServer(scene, "", gate);
    expect(await askPath(path)).toBe("default socket\n");
    await process.line(new RegExp(`^${NAME}: info: allow pid \\d+ uid ${UID} gid ${GID}$`));
    scene.write(`rules/uid/${UID}/deny`, "");
    expect(await askPath(path)).toBe("");
  });

  test("behind a server of another kind there is no local path to tell", async () => {
    await using scene = await newScene();
    const run = await access(scene, "", ["touch", "ran"]);
    const why = "unable to get the local path of stdin: Socket operation on non-socket";
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: ${why}\n`);
    expect(scene.has("ran")).toBe(false);
  });
});

describe("--check", () => {
  const files = {
    "rules/uid/0/deny": "",
    "rules/gid/100/allow": "",
    "rules/gid/100/env/FOO": "bar",
    "rules/gid/100/env/GONE": "",
    "rules/gid/100/exec": "echo x",
  };

  test.each([
    [
      "1000:100",
      0,
      "uid/1000: no rule\ngid/100: allow\nset environment variable FOO=bar\nunset environment variable GONE\nrun execlineb -Pc echo x\nallow connection\n",
    ],
    ["1000:7", 1, "uid/1000: no rule\ngid/7: no rule\nuid/default: no rule\ndeny connection\n"],
  ])("--check=%s exits %d and shows the keys and what comes of them", async (ids, code, text) => {
    await using scene = await newScene({ files });
    const run = await scene.run(NAME, [`--check=${ids}`, "-i", "rules"]);
    const told = run.exits(code).stderrIs("").stdout;
    expect(
      told
        .replace(/^(uid|gid)\/self: no rule\n/gm, "")
        .split("\n")
        .toSorted(),
    ).toEqual(text.split("\n").toSorted());
  });

  test("--check says what is wrong with rules", async () => {
    await using scene = await newScene({ files });
    const run = await scene.run(NAME, ["--check", "1:1", "-x", "missing.cdb"]);
    run
      .exits(EXIT.system)
      .stdoutMatches(/unable to read missing\.cdb: No such.*\ndeny connection\n$/);
  });
});

test.each([
  [[], "missing operand: prog"],
  [["--check=1", "-i", "rules"], "check must be uid:gid: 1"],
  [["--check=1:2:3", "-i", "rules"], "check must be uid:gid: 1:2:3"],
  [["--check=1:2"], "no rules to check"],
  [["--check=1:2", "-i", "rules", "cat"], "unexpected operand: cat"],
  [["-v", "x", "cat"], "-v must be an unsigned integer: x"],
  [["-i"], "option -i needs an argument"],
])("s6-ipcserver-access %j is a usage error", async (words, problem) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words, { env: CLIENT });
  const [first, second] = run.exits(EXIT.usage).stdoutIs("").stderr.split("\n");
  expect(first).toBe(`${NAME}: fatal: ${problem}`);
  expect(second).toMatch(/^s6-ipcserver-access: usage: s6-ipcserver-access \[-v verbosity\] /);
});

test("s6-ipcserver-access --explain shows the rules and the variable", async () => {
  await using scene = await newScene();
  const run = await access(scene, "--explain -i rules", ["true"]);
  run.exits(EXIT.ok).stdoutMatches(/admits clients by the rules in rules/);
  run.stdoutMatches(/environment: IPCLOCALPATH=<IPCLOCALPATH>/);
});
