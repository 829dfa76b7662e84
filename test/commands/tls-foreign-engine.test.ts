/**
 * s6-tlsd and s6-tlsc with somebody else's engine first in PATH: the words and descriptors it gets, and
 * what becomes of what it says (networking.md, sections 15 and 23).
 */

import { expect, test } from "vitest";
import { BIN, newScene } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";

/** A scene whose engines are this script. */
function newEngineScene(script: string): Promise<Scene> {
  const content = `#!/bin/sh\n${script}\n`;
  return newScene({ files: { "other/s6-tlsd-io": content, "other/s6-tlsc-io": content } });
}

/** Run words of ours after a shell script that may open descriptors. */
function run(
  scene: Scene,
  words: readonly string[],
  { script = "", env = {} }: { script?: string; env?: Record<string, string> } = {},
): Promise<Run> {
  const PATH = `${scene.path("other")}:${BIN}:${process.env["PATH"]}`;
  const all = ["-c", `${script}\nexec "$@"`, "sh", ...words];
  return scene.execute("/bin/sh", all, { env: { PATH, ...env } }).finished();
}

const PROGRAM = [
  "sh",
  "-c",
  'read -r line; echo "$line $SSL_PROTOCOL ${SSL_TLS_SNI_SERVERNAME-unset} ${KEYFILE-unset}"',
];

test.each([
  ["-v2 -S -J -Y -K 5 -k 7", "-v 2 -d 5 -S -J -Y -K 5 --mandatory-sni -- 3 4"],
  ["-s -S -j -y -k 0", "-d 5 -S -y -- 3 4"],
  ["", "-d 5 -- 3 4"],
])("s6-tlsd %s starts s6-tlsd-io %s", async (options, words) => {
  await using scene = await newEngineScene(`
    echo "$@" >&2
    printf 'SSL_PROTOCOL=TLSv9\\0SSL_TLS_SNI_SERVERNAME\\0\\0' >&5; exec 5>&-
    echo hello >&4
    exec cat <&3 >&2`);
  const all = ["s6-tlsd", ...options.split(" ").filter((word) => word !== ""), ...PROGRAM];
  const result = await run(scene, all, {
    env: { SSL_TLS_SNI_SERVERNAME: "stale", KEYFILE: "key" },
  });
  result.exits(0).stdoutIs("").stderrIs(`${words}\nhello TLSv9 unset unset\n`);
});

test("s6-tlsc starts s6-tlsc-io with the program on 0 and 1", async () => {
  await using scene = await newEngineScene(`
    echo "$@" >&2
    printf 'SSL_PROTOCOL=TLSv9\\0\\0' >&3; exec 3>&-
    echo hello
    exec cat >&2`);
  const options = "-v 3 -y --no-verify-cert -6 8 -7 9".split(" ");
  const program = ["sh", "-c", 'read -r line <&8; echo "$line $SSL_PROTOCOL" >&9'];
  (
    await run(scene, ["s6-tlsc", ...options, ...program], {
      script: "exec 8</dev/null 9>/dev/null",
    })
  )
    .exits(0)
    .stdoutIs("")
    .stderrIs("-v 3 -d 3 -y --no-verify-cert -- 8 9\nhello TLSv9\n");
});

test.each([
  ["exit 0", 0],
  ["exit 97", 97],
  ["exit 200", 128],
  ["kill -9 $$", 137],
])(
  'an engine that sends nothing and ends with "%s" ends the connection with exit code %i',
  async (script, code) => {
    await using scene = await newEngineScene(script);
    (await run(scene, ["s6-tlsd", "touch", "ran"])).exits(code).stderrIs("");
    expect(scene.has("ran")).toBe(false);
  },
);
