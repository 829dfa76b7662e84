/** s6-tlsclient: which chain it writes. */

import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { tlsclient } from "../../src/ucspi/links/tlsclient.ts";
import { launchAfter, newWorld, runLink } from "../chain/world.ts";
import { BIN, bothWays, newScene } from "../support/scene.ts";
import { newRecordingScene, runRecorded, wordsOf } from "../tls/recorder.ts";

const NAME = "s6-tlsclient";

async function rewrite(line: string): Promise<string> {
  await using scene = await newRecordingScene(NAME, "s6-tcpclient");
  const run = await runRecorded(scene, NAME, line.split(" "));
  run.exits(EXIT.ok).stderrIs("");
  return wordsOf(scene, run).join(" ");
}

// The lines of networking.md, sections 17.1 and 23, where -n has the effect that is documented, and an
// address is verified.
test.each([
  [
    "host.example.com 443 app",
    "s6-tcpclient -- host.example.com 443 s6-tlsc -k host.example.com -- app",
  ],
  ["127.0.0.1 443 app", "s6-tcpclient -- 127.0.0.1 443 s6-tlsc -k 127.0.0.1 -- app"],
  [
    "-v -4 -6 -D -H -h -r -n -t 7 -l me -T 3 -i 127.0.0.1 -p 0 -S -J -y --no-verify-cert -Z -K 100 -k name ::1 1 true",
    "s6-tcpclient -v -4 -6 -D -H -h -r -n -t 7 -l me -T 3+0 -i 127.0.0.1 -- ::1 1 " +
      "s6-tlsc -S -J -y --no-verify-cert -Z -K 100 -k name -- true",
  ],
  [
    "-q -N -T 3+4 -i 0.0.0.0 -p 7777 ::1 1 true",
    "s6-tcpclient -q -T 3+4 -p 7777 -- ::1 1 s6-tlsc -k ::1 -- true",
  ],
  [
    "--verbose --ipv6 --ipv4 --no-nagle --no-dns --hosts --ident --qualify --timeout=7 --local-name=me " +
      "--connection-timeouts=3 --local-ip=::1 --local-port=5 --close-notify --enforce-close-notify " +
      "--client-cert --no-verify-cert --keep --handshake-timeout=100 --servername=name ::1 1 true",
    "s6-tcpclient -v -4 -6 -D -H -h -r -n -t 7 -l me -T 3+0 -i ::1 -p 5 -- ::1 1 " +
      "s6-tlsc -S -J -y --no-verify-cert -Z -K 100 -k name -- true",
  ],
])("s6-tlsclient %s is rewritten as in the C suite", async (line, expected) => {
  expect(await rewrite(line)).toBe(expected);
});

/** The same, without a process for each. */
async function rewritten(line: string): Promise<string> {
  const launch = launchAfter(await runLink(tlsclient, line.split(" "), newWorld()));
  return launch.argv.map((word) => word.replace("/bin/of/ours/", "")).join(" ");
}

test.each([
  ["-vqQ", "s6-tcpclient -- host 1 s6-tlsc -k host -- app"],
  ["-v -v", "s6-tcpclient -v -- host 1 s6-tlsc -k host -- app"],
  ["-nN -dD -rR -h --no-hosts", "s6-tcpclient -D -- host 1 s6-tlsc -k host -- app"],
  ["-t 0 -i :: -p 0", "s6-tcpclient -- host 1 s6-tlsc -k host -- app"],
  [
    "-yY -Ss -Jj -Zz --no-verify-cert --verify-cert",
    "s6-tcpclient -- host 1 s6-tlsc -k host -- app",
  ],
  // 0 is no limit, and the default is one.
  ["-K 0", "s6-tcpclient -- host 1 s6-tlsc -K 0 -k host -- app"],
  ["--happy-eyeballs", "s6-tcpclient --happy-eyeballs -- host 1 s6-tlsc -k host -- app"],
  ["--no-verify-name", "s6-tcpclient -- host 1 s6-tlsc -k host --no-verify-name -- app"],
  [
    "--idle-timeout=9 --min-version=1.2 --max-version=1.3 --ciphers=A:B --alpn=h2,imap --full-close",
    "s6-tcpclient -- host 1 s6-tlsc -k host --idle-timeout=9 --min-version=1.2 --max-version=1.3 --ciphers=A:B --alpn=h2,imap --full-close -- app",
  ],
])("s6-tlsclient %s is rewritten into its parts", async (options, expected) => {
  expect(await rewritten(`${options} host 1 app`)).toBe(expected);
});

describe("the name in the certificate", () => {
  test.each([
    ["host.example.com.", "-k host.example.com"],
    ["2001:DB8::1", "-k 2001:db8::1"],
    ["-H 192.0.2.7", "-k 192.0.2.7"],
    ["127.0.0.1x", "-k 127.0.0.1x"],
    ["1.2.3.4.example.com", "-k 1.2.3.4.example.com"],
    ["-4 0", "-k 127.0.0.1"],
    ["-k name 192.0.2.7,192.0.2.8", "-k name"],
    ["--no-verify-name 192.0.2.7,192.0.2.8", "--no-verify-name"],
    ["--no-verify-name 192.0.2.7", "--no-verify-name"],
    ["--no-verify-cert 192.0.2.7", "--no-verify-cert"],
  ])(
    "s6-tlsclient for the host %s passes %s for the name in the certificate",
    async (line, expected) => {
      expect(await rewritten(`${line} 1 app`)).toMatch(new RegExp(` s6-tlsc ${expected} -- app$`));
    },
  );

  bothWays("s6-tlsclient requires -k where the host is several addresses", async (newScene) => {
    await using scene = await newScene();
    const text = "is no single address, so -k has to name the server, or --no-verify-name be given";
    for (const [host, told] of [
      ["0", "0"],
      ["::1,127.0.0.1", "::1,127.0.0.1"],
      ["", "an empty host"],
    ] as const) {
      const run = await scene.run(NAME, [host, "1", "touch", "ran"]);
      run.exits(EXIT.usage).stderrIs(`s6-tlsclient: fatal: ${told} ${text}\n`);
    }
    expect(scene.has("ran")).toBe(false);
  });
});

bothWays(
  "s6-tlsclient goes on with s6-tcpclient, which reports an invalid port",
  async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["localhost", "x", "true"]);
    run.exits(EXIT.usage).stderrIs("s6-tcpclient: fatal: invalid port number: x\n");
  },
);

test("s6-tlsclient --explain prints the chain and does not connect", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, ["--explain", "-H", "127.0.0.1", "1", "touch", "ran"]);
  run.exits(EXIT.ok).stderrIs("");
  expect(run.stdout).toContain(`\n${BIN}/s6-tcpclient -H -- 127.0.0.1 1\n`);
  expect(run.stdout).toContain(`\n${BIN}/s6-tlsc -k 127.0.0.1 --`);
  expect(scene.has("ran")).toBe(false);
});

test.each([
  ["-p x ::1 1 true", "local-port must be a port number: x"],
  ["-i x ::1 1 true", "local-ip must be an IP address: x"],
  ["-i 127.0.0.1x ::1 1 true", "local-ip must be an IP address: 127.0.0.1x"],
  ["-T 1+2+3 ::1 1 true", "connection-timeouts must be x or x+y, in seconds: 1+2+3"],
  ["-K x ::1 1 true", "handshake-timeout must be an unsigned integer of milliseconds: x"],
  ["--servername= ::1 1 true", "servername must be a name or an address: "],
  ["--tls-user=no-such-account ::1 1 true", "unknown user: no-such-account"],
  ["--frob ::1 1 true", "unrecognized boolean option: --frob"],
])("s6-tlsclient %s is a usage error", async (line, text) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, line.split(" "));
  run.exits(EXIT.usage).stdoutIs("").stderrIs(`s6-tlsclient: fatal: ${text}\n`);
});
