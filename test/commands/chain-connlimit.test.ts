import { bothWays } from "../support/scene.ts";

bothWays("s6-connlimit admits a connection that does not exceed the maximum", async (scenes) => {
  await using scene = await scenes();
  const cases: [Record<string, string>, number][] = [
    [{ PROTO: "TCP", TCPCONNNUM: "3", TCPCONNMAX: "3" }, 0],
    [{ PROTO: "TCP", TCPCONNNUM: "4", TCPCONNMAX: "3" }, 1],
    [{ PROTO: "IPC", IPCCONNNUM: "9" }, 0],
  ];
  for (const [env, code] of cases) {
    const run = await scene.run("s6-connlimit", ["echo", "ran"], { env });
    run
      .exits(code)
      .stdoutIs(code === 0 ? "ran\n" : "")
      .stderrIs("");
  }
});

bothWays("s6-connlimit -s refuses at the maximum already", async (scenes) => {
  await using scene = await scenes();
  const env = { PROTO: "TCP", TCPCONNNUM: "3", TCPCONNMAX: "3" };
  (await scene.run("s6-connlimit", ["-s", "echo", "ran"], { env })).exits(1).stdoutIs("");
});

bothWays("s6-connlimit without a program only checks", async (scenes) => {
  await using scene = await scenes();
  (await scene.run("s6-connlimit", [], { env: { PROTO: "TCP", TCPCONNNUM: "1" } })).exits(0);
});

bothWays("s6-connlimit requires its variables", async (scenes) => {
  await using scene = await scenes();
  const cases: [Record<string, string>, string][] = [
    [{}, "PROTO not set"],
    [{ PROTO: "" }, "PROTO not set"],
    [{ PROTO: "TCP" }, "TCPCONNNUM not set"],
    [{ PROTO: "TCP", TCPCONNNUM: "x" }, "invalid $TCPCONNNUM"],
    [{ PROTO: "TCP", TCPCONNNUM: "1", TCPCONNMAX: "-1" }, "invalid $TCPCONNMAX"],
    [{ PROTO: "TCP", TCPCONNNUM: "4294967296" }, "invalid $TCPCONNNUM"],
  ];
  for (const [env, problem] of cases) {
    const run = await scene.run("s6-connlimit", ["true"], { env });
    run.exits(100).stderrIs(`s6-connlimit: fatal: ${problem}\n`);
  }
});
