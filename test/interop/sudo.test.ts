/** s6-sudoc and s6-sudod of ours with those of s6, both ways, and s6-sudo over their super-server. */

import { join } from "node:path";
import { describe, test } from "vitest";
import { loadPosix } from "../../src/posix/index.ts";
import { BIN, newScene, peer } from "../support/scene.ts";
import type { Peer, RunOptions, Scene } from "../support/scene.ts";
import { original } from "./support.ts";

const posix = loadPosix();

const PEERS: readonly (readonly [string, Peer])[] = [
  ["Debian's s6", peer("s6-sudod")],
  ["the C suite", original("s6-sudod")],
];

describe.each(PEERS)("%s", (_, { path, isMissing, why }) => {
  const directory = join(path, "..");
  const ways = [
    ["its client and our server", directory, BIN],
    ["our client and its server", BIN, directory],
  ] as const;

  describe.each(ways)("%s", (_way, clients, servers) => {
    /** Run a client against a server; both have ended when this returns. */
    async function sudo(
      scene: Scene,
      server: readonly string[],
      words: readonly string[],
      { serverEnv = {}, ...options }: RunOptions & { serverEnv?: Record<string, string> } = {},
    ) {
      const [mine, its] = posix.socketPair("stream");
      for (const fd of [mine, its]) posix.setNonblocking(fd, false);
      const fds = { 0: its, 1: its };
      const sudod = scene.execute(join(servers, "s6-sudod"), server, { env: serverEnv, fds });
      const client = scene.execute(join(clients, "s6-sudoc"), words, {
        ...options,
        fds: { 6: mine, 7: mine },
      });
      for (const fd of [mine, its]) posix.close(fd);
      const run = await client.finished();
      return { run, server: await sudod.finished() };
    }

    test.skipIf(isMissing)(`words, descriptors and exit codes go across${why}`, async () => {
      await using scene = await newScene();
      const script = 'read line; echo "$line $*"; echo problem >&2; exit 7';
      const words = ["sh", "-c", script, "sh"];
      const { run, server } = await sudo(scene, words, ["a b", "c"], { input: "in\n" });
      run.exits(7).stdoutIs("in a b c\n").stderrIs("problem\n");
      server.exits(0).stderrIs("");
      for (const [end, code] of [
        ["kill -KILL $$", 137],
        ["exit 200", 128],
      ] as const) {
        (await sudo(scene, [], ["sh", "-c", end])).run.exits(code);
      }
    });

    test.skipIf(isMissing)(`variables that the server has empty go across${why}`, async () => {
      await using scene = await newScene();
      const env = { OPEN: "client", CLOSED: "client", OTHER: "client" };
      const options = { env, serverEnv: { OPEN: "", CLOSED: "server" } };
      const show = 'echo "$OPEN $CLOSED ${OTHER-none}"';
      const { run } = await sudo(scene, ["sh", "-c", show], [], options);
      run.exits(0).stdoutIs("client server none\n");
      (await sudo(scene, ["sh", "-c", show], ["-e"], options)).run.stdoutIs(" server none\n");
    });

    test.skipIf(isMissing)(`a client that gives up ends the program${why}`, async () => {
      await using scene = await newScene();
      const script = "trap 'echo ended; exit' TERM; while :; do sleep 0.05; done";
      const { run, server } = await sudo(scene, ["-2", "sh", "-c", script], ["-T", "300"]);
      run.exits(111).stdoutIs("ended\n");
      server.exits(1);
    });

    test.skipIf(isMissing)(`a program that does not exist is told, if not why${why}`, async () => {
      await using scene = await newScene();
      const { run, server } = await sudo(scene, ["no-such-program"], []);
      run.exits(111).stderrMatches(/^s6-sudoc: fatal: /m);
      server.exits(111);
    });
  });
});
