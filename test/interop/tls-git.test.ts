/** git, which knows no TLS on its own port: its daemon behind s6-tlsserver, its client over s6-tlsclient. */

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { peer } from "../support/scene.ts";
import type { Run } from "../support/scene.ts";
import { newTlsScene, startTlsServer } from "./tls-peers.ts";
import type { TlsScene } from "./tls-peers.ts";

const git = peer("git");

describe.skipIf(git.isMissing)(`git clone and git push over TLS${git.why}`, () => {
  function run({ scene, pki }: TlsScene, words: readonly string[], env = {}): Promise<Run> {
    const settings = ["-c", "protocol.ext.allow=always", "-c", "init.defaultBranch=main"];
    const who = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    const quiet = { HOME: scene.directory, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
    const options = { env: { ...quiet, CAFILE: pki.caFile, ...env } };
    return scene.execute(git.path, [...settings, ...who, ...words], options).finished();
  }

  async function commit(ground: TlsScene, repository: string): Promise<void> {
    const within = ["-C", repository];
    (await run(ground, [...within, "add", "."])).exits(EXIT.ok);
    (await run(ground, [...within, "commit", "-q", "-m", "change"])).exits(EXIT.ok);
  }

  test("git clones and pushes over TLS through GIT_PROXY_COMMAND and through ext::", async () => {
    const big = randomBytes(3_000_000);
    await using ground = await newTlsScene({
      "origin/big": big,
      proxy: '#!/bin/sh\nexec s6-tlsclient -H "$1" "$2" s6-ioconnect\n',
    });
    const { scene } = ground;
    (await run(ground, ["init", "-q", "origin"])).exits(EXIT.ok);
    await commit(ground, "origin");
    (await run(ground, ["clone", "-q", "--bare", "origin", "repos/demo"])).exits(EXIT.ok);
    const base = `--base-path=${scene.path("repos")}`;
    const allow = ["--export-all", "--enable=receive-pack"];
    const daemon = [git.path, "daemon", "--inetd", ...allow, base];
    const { port } = await startTlsServer(ground, "-S", daemon);

    const url = `git://127.0.0.1:${port}/demo`;
    const proxy = { GIT_PROXY_COMMAND: scene.path("proxy") };
    (await run(ground, ["clone", "-q", url, "copy"], proxy)).exits(EXIT.ok);
    expect(scene.readBytes("copy/big").equals(big)).toBe(true);

    scene.write("copy/more", randomBytes(3_000_000));
    await commit(ground, "copy");
    (await run(ground, ["-C", "copy", "push", "-q"], proxy)).exits(EXIT.ok);

    const command = `ext::s6-tlsclient -H 127.0.0.1 ${port} s6-ioconnect %G/demo`;
    (await run(ground, ["clone", "-q", command, "other"])).exits(EXIT.ok);
    expect(scene.readBytes("other/more").equals(scene.readBytes("copy/more"))).toBe(true);

    const mistrusting = { ...proxy, CAFILE: ground.clientFiles.certFile };
    const refused = await run(ground, ["clone", "-q", url, "never"], mistrusting);
    refused.exits(128).stderrMatches(/^s6-tlsc-io: fatal: .*(certificate|issuer)/m);
    expect(scene.has("never")).toBe(false);
  });
});
