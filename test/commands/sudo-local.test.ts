import { join } from "node:path";
import { expect, test } from "vitest";
import { BIN, bothWays, isAlive, newScene, peer } from "../support/scene.ts";
import type { Scene, SceneMaker } from "../support/scene.ts";

/** A server of programs at `socket`, ready. */
async function serve(scene: Scene, words: readonly string[], directory = BIN): Promise<void> {
  const server = scene.execute(join(directory, "s6-ipcserver"), ["-1", "socket", ...words], {
    env: { OPEN: "" },
  });
  await server.line(/^$/);
}

async function rules(scenes: SceneMaker, verdict: "allow" | "deny"): Promise<Scene> {
  return scenes({ files: { [`rules/uid/default/${verdict}`]: "" } });
}

bothWays("s6-sudo runs a program that the rules of the server admit", async (scenes) => {
  await using scene = await rules(scenes, "allow");
  const script = 'read line; echo "$line $OPEN $PROTO $*"; exit 5';
  await serve(scene, ["s6-ipcserver-access", "-i", "rules", "s6-sudod", "sh", "-c", script, "sh"]);
  const run = await scene.run("s6-sudo", ["socket", "a", "b"], {
    input: "in\n",
    env: { OPEN: "o" },
  });
  run.exits(5).stdoutIs("in o IPC a b\n").stderrIs("");
});

bothWays("s6-sudo exits 111 when the rules refuse it, and when nobody serves", async (scenes) => {
  await using scene = await rules(scenes, "deny");
  await serve(scene, ["s6-ipcserver-access", "-i", "rules", "s6-sudod", "true"]);
  const text = "unable to read the banner of the server: ";
  const denied = await scene.run("s6-sudo", ["socket"]);
  expect(denied.exits(111).stderr).toContain(`s6-sudoc: fatal: ${text}`);
  (await scene.run("s6-sudo", ["none"])).exits(111).stderrMatches(/^s6-ipcclient: fatal: .*none/);
  (await scene.run("s6-sudo", []))
    .exits(100)
    .stderrMatches(/usage: s6-sudo .* path \[args\.\.\.\]/);
});

bothWays(
  "a client that is killed takes its program along behind a server of ours",
  async (scenes) => {
    await using scene = await scenes();
    await serve(scene, ["s6-sudod", "sh", "-c", "echo pid $$; exec sleep 1000"]);
    const client = scene.start("s6-sudo", ["socket"]);
    const pid = Number((await client.line(/^pid (\d+)$/))[1]);
    client.signal("SIGKILL");
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  },
);

const sudod = peer("s6-sudod");

test.skipIf(sudod.isMissing)(
  `s6-sudo talks to a server of the C suite, and its client to ours${sudod.why}`,
  async () => {
    const directory = join(sudod.path, "..");
    await using theirs = await newScene();
    await serve(theirs, [sudod.path, "sh", "-c", "exit 6"], directory);
    (await theirs.run("s6-sudo", ["socket"])).exits(6);
    await using ours = await newScene();
    await serve(ours, ["s6-sudod", "sh", "-c", "exit 6"]);
    (await ours.execute(join(directory, "s6-sudo"), ["socket"]).finished()).exits(6);
  },
);
