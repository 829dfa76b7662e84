/** s6-tlsserver from its socket to its program, with s6-tlsclient and node:tls as clients. */

import { expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, isRoot, newScene } from "../support/scene.ts";
import type { RunOptions, Scene } from "../support/scene.ts";
import { askTls, refusal } from "../support/tls-dial.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { announced } from "../ucspi/servers.ts";

/** `s6-tlsserver -1 OPTION... 127.0.0.1 0 PROGRAM...`. */
function serve(scene: Scene, options: string, program: readonly string[], run: RunOptions) {
  const words = options.split(" ").filter((word) => word !== "");
  return announced(
    scene.start("s6-tlsserver", ["-1", ...words, "127.0.0.1", "0", ...program], run),
  );
}

bothWays("s6-tlsserver and s6-tlsclient work together as a whole", async (newScene) => {
  await using scene = await newScene();
  const { client, server, serverEnvironment, clientEnvironment } = makeCertificates(
    scene.directory,
  );
  const program = [
    "sh",
    "-c",
    'read -r line; echo "$line $PROTO $TCPREMOTEIP $SSL_PROTOCOL $SSL_PEER_CERT_HASH"',
  ];
  const { port } = await serve(scene, "-Hy", program, { env: serverEnvironment });
  const words = ["-H", "-y", "127.0.0.1", String(port), "sh", "-c"];
  words.push('echo hello >&7; cat <&6; echo "$SSL_PEER_CERT_HASH"');
  const run = await scene.run("s6-tlsclient", words, { env: clientEnvironment });
  const told = `hello TCP 127.0.0.1 TLSv1.3 SHA256:${client.sha256}`;
  run.exits(0).stdoutIs(`${told}\nSHA256:${server.sha256}\n`).stderrIs("");
});

bothWays("rules for addresses apply before the handshake", async (newScene) => {
  await using scene = await newScene({
    files: { "rules/ip4/127.0.0.1_32/allow": "", "rules/ip4/127.0.0.1_32/env/WHO": "me" },
  });
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const program = ["sh", "-c", 'echo "$WHO"'];
  const { port, process } = await serve(scene, "-v -H -i rules", program, { env });
  expect(await askTls(port)).toBe("me\n");
  expect(await refusal(port, { localAddress: "127.0.0.2" })).not.toBe("none");
  await process.line(/ end pid \d+ exitcode 1 /);
});

test("a handshake takes a slot of -c, at most for the time of -K", async () => {
  await using scene = await newScene();
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const { port, process } = await serve(scene, "-v -H -c 1 -K 1000", ["echo", "served"], { env });
  await using silent = await dial(port);
  expect(await ask(port)).toBe("");
  expect(await silent.rest()).toBe("");
  await process.lines(
    /^s6-tlsd-io: fatal: handshake timed out$/,
    /^.* end pid \d+ exitcode 98 count 0\/1$/,
  );
  expect(await askTls(port)).toBe("served\n");
});

bothWays("s6-tlsserver -q logs nothing of handshakes that take too long", async (newScene) => {
  await using scene = await newScene();
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const { port, process } = await serve(scene, "-q -H -K 50", ["touch", "ran"], { env });
  await using silent = await dial(port);
  expect(await silent.rest()).toBe("");
  process.signal("SIGTERM");
  (await process.finished()).exits(0).stderrIs("");
  expect(scene.has("ran")).toBe(false);
});

test.skipIf(!isRoot)("s6-tlsserver -u and -g apply to the program, behind TLS", async () => {
  await using scene = await newScene();
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const program = ["sh", "-c", 'echo "$(id -u) $(id -g) $SSL_PROTOCOL"'];
  const { port } = await serve(scene, "-H -u 1234 -g 1235", program, { env });
  expect(await askTls(port)).toBe("1234 1235 TLSv1.3\n");
});

test.each([
  ["s6-tlsd", "prog\\.\\.\\."],
  ["s6-tlsd-io", "fdr fdw"],
  ["s6-tlsc", "prog\\.\\.\\."],
  ["s6-tlsc-io", "fdr fdw"],
  ["s6-tlsserver", "ip port prog\\.\\.\\."],
  ["s6-tlsclient", "host port prog\\.\\.\\."],
  ["s6-ucspitlsd", "prog\\.\\.\\."],
  ["s6-ucspitlsc", "prog\\.\\.\\."],
])("%s --help prints the usage", async (name, operands) => {
  await using scene = await newScene();
  const run = await scene.run(name, ["--help"]);
  run
    .exits(0)
    .stderrIs("")
    .stdoutMatches(new RegExp(`^${name}: .+\\n\\nusage: ${name} \\[.*\\] ${operands}\\n`));
  for (const word of ["-S, --close-notify", "-K ms, --handshake-timeout=ms", "--alpn=proto,..."]) {
    expect(run.stdout).toMatch(new RegExp(`^ +${word}( |$)`, "m"));
  }
});
