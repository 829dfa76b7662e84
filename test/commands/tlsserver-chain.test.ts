/** s6-tlsserver: which chain it writes. */

import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { tlsserver } from "../../src/ucspi/links/tlsserver.ts";
import { launchAfter, newWorld, runLink } from "../chain/world.ts";
import { BIN, bothWays, newScene } from "../support/scene.ts";
import { newRecordingScene, runRecorded, wordsOf } from "../tls/recorder.ts";

const NAME = "s6-tlsserver";
const GATE = "s6-tcpserver-access";

/** The words of a line, between single spaces; '' is an empty word. */
function split(line: string): string[] {
  return line.split(" ").map((word) => (word === "''" ? "" : word));
}

async function rewrite(line: string): Promise<readonly string[]> {
  await using scene = await newRecordingScene(NAME, "s6-tcpserver");
  const run = await runRecorded(scene, NAME, split(line));
  run.exits(EXIT.ok).stderrIs("");
  return wordsOf(scene, run);
}

// The lines of networking.md, sections 17.2 and 23.
test.each([
  ["127.0.0.1 7007 cat", `-- 127.0.0.1 7007 ${GATE} -- s6-tlsd -- cat`],
  ["-H ::1 1 cat", "-- ::1 1 s6-tlsd -- cat"],
  [
    "-v -H -L -U -K 3000 -S -J -y -k 2 -Z -t 5000 -i rules -l 0 -c 5 -C 2 -b 9 -1 -D -w -r -p -h ::1 1 cat",
    `-v -1 -c 5 -C 2 -b 9 -- ::1 1 ${GATE} -v2 -w -D -H -h -r -p -l 0 -t 5000 -i rules -- ` +
      "proxy-server --before-tlsd -- s6-tlsd -v2 -S -J -y -K 3000 -Z --mandatory-sni -- " +
      "s6-applyuidgid -Uz -- proxy-server --after-tlsd -- cat",
  ],
  [
    "-q -Y -k 1 -x rules.cdb -u 1 -g 2 -G 3,4 ::1 1 cat arg",
    `-q -- ::1 1 ${GATE} -v0 -x rules.cdb -- s6-tlsd -v0 -Y --sni -- ` +
      "s6-applyuidgid -G 3,4 -g 2 -u 1 -- cat arg",
  ],
  [
    "--verbose --no-dns --proxy --envuidgid --handshake-timeout=3000 --close-notify --enforce-close-notify " +
      "--mandatory-client-cert --sni-level=3 --keep --timeout=5000 --rules-directory=rules --local-name=0 " +
      "--global-max-connections=5 --local-max-connections=2 --backlog=9 --notify --no-nagle " +
      "--strict-resolution --ident --paranoid --hosts ::1 1 cat",
    `-v -1 -c 5 -C 2 -b 9 -- ::1 1 ${GATE} -v2 -w -D -H -h -r -p -l 0 -t 5000 -i rules -- ` +
      "proxy-server --before-tlsd -- s6-tlsd -v2 -S -J -y -K 3000 -Z --mandatory-sni -- " +
      "s6-applyuidgid -Uz -- proxy-server --after-tlsd -- cat",
  ],
  [
    "--quiet --client-cert --rules-file=r --uid=1 --gid=2 --gidlist=3:4 ::1 1 cat",
    `-q -- ::1 1 ${GATE} -v0 -x r -- s6-tlsd -v0 -Y -- s6-applyuidgid -G 3,4 -g 2 -u 1 -- cat`,
  ],
])("s6-tlsserver %s is rewritten as in the C suite", async (line, expected) => {
  expect(await rewrite(line)).toEqual(["s6-tcpserver", ...split(expected)]);
});

/** The same, without a process for each. */
async function rewritten(line: string): Promise<string> {
  const launch = launchAfter(await runLink(tlsserver, split(line), newWorld()));
  return launch.argv.map((word) => word.replace("/bin/of/ours/", "")).join(" ");
}

describe("the stages", () => {
  const plain = "s6-tcpserver -- ::1 1";

  test.each([
    ["-c 0 -C 0 -b 0", `s6-tcpserver -c 1 -C 1 -b 0 -- ::1 1 ${GATE} -- s6-tlsd -- cat`],
    ["-vqQ --verbose --normally-verbose", `${plain} ${GATE} -- s6-tlsd -- cat`],
    ["-H --dns", `${plain} ${GATE} -- s6-tlsd -- cat`],
    ["-H -h -d -R -P -W -t 0", `${plain} s6-tlsd -- cat`],
    ["-H -wW -Dd -rR -pP -h --no-hosts", `${plain} s6-tlsd -- cat`],
    ["-H -w", `${plain} ${GATE} -w -H -- s6-tlsd -- cat`],
    ["-H -D", `${plain} ${GATE} -D -H -- s6-tlsd -- cat`],
    ["-H -r", `${plain} ${GATE} -H -r -- s6-tlsd -- cat`],
    ["-H -p", `${plain} ${GATE} -H -p -- s6-tlsd -- cat`],
    ["-H -l ''", `${plain} ${GATE} -H -l  -- s6-tlsd -- cat`],
    ["-H -t 3", `${plain} ${GATE} -H -t 3 -- s6-tlsd -- cat`],
    ["-H --require-name", `${plain} ${GATE} -H --require-name -- s6-tlsd -- cat`],
    ["-i a -x b", `${plain} ${GATE} -i a -- s6-tlsd -- cat`],
    ["-H -x b -i a", `${plain} ${GATE} -H -i a -- s6-tlsd -- cat`],
    ["-H -yY -sS -jJ -zZ", `${plain} s6-tlsd -S -J -Y -Z -- cat`],
    ["-H -Ss -Jj -Zz -k 1 -k 0", `${plain} s6-tlsd -- cat`],
    ["-H -u 0", `${plain} s6-tlsd -- s6-applyuidgid -- cat`],
    ["-H -u 0 -g 0 -G 5", `${plain} s6-tlsd -- s6-applyuidgid -G 5 -- cat`],
    ["-H -U -u 5 -g 7 -G 1", `${plain} s6-tlsd -- s6-applyuidgid -Uz -- cat`],
    ["-H -u 5 -U", `${plain} s6-tlsd -- s6-applyuidgid -Uz -- cat`],
    ["-HL", `${plain} proxy-server --before-tlsd -- s6-tlsd -- proxy-server --after-tlsd -- cat`],
    // The C suite differs: 0 is no limit, and the default is one.
    ["-H -K 0", `${plain} s6-tlsd -K 0 -- cat`],
    // The options that it lacks.
    [
      "-H --also=[::1]:2 --drain=5 --local-address --refusals=json",
      "s6-tcpserver --also=[::1]:2 --drain=5 --local-address --refusals=json -- ::1 1 s6-tlsd -- cat",
    ],
    [
      "-H --refusals text -i r",
      `s6-tcpserver --refusals=text -- ::1 1 ${GATE} -H -i r --refusals=text -- s6-tlsd -- cat`,
    ],
    [
      "-H --hard-timeout --unmap -t 5",
      `${plain} ${GATE} -H -t 5 --hard-timeout --unmap -- s6-tlsd -- cat`,
    ],
    [
      "-H --idle-timeout=9 --min-version=1.2 --max-version=1.3 --ciphers=A:B --alpn=h2,imap --full-close",
      `${plain} s6-tlsd --idle-timeout=9 --min-version=1.2 --max-version=1.3 --ciphers=A:B --alpn=h2,imap --full-close -- cat`,
    ],
    ["-Hy -i r --cert-rules", `${plain} ${GATE} -H -i r -- s6-tlsd -y --rules-directory=r -- cat`],
    [
      "-H --trust=192.0.2.0/24,2001:db8::1 -i r",
      `${plain} proxy-server --before-tlsd --trust=192.0.2.0/24,2001:db8::1/128 -- ${GATE} -H -i r -- s6-tlsd -- proxy-server --after-tlsd -- cat`,
    ],
    [
      "-q -H -L -C 3 --trust=192.0.2.1 --untrusted=pass",
      "s6-tcpserver -q -- ::1 1 proxy-server --before-tlsd -v0 --trust=192.0.2.1/32 --untrusted=pass -- s6-connlimit -s -- s6-tlsd -v0 -- proxy-server --after-tlsd -- cat",
    ],
    ["-HY -x r --cert-rules", `${plain} ${GATE} -H -x r -- s6-tlsd -Y --rules-file=r -- cat`],
  ])("s6-tlsserver %s is rewritten into its stages", async (options, expected) => {
    expect(await rewritten(`${options} ::1 1 cat`)).toBe(expected);
  });
});

bothWays(
  "s6-tlsserver goes on with the super-server, which reports an invalid port",
  async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["-H", "127.0.0", "80", "cat"]);
    run.exits(EXIT.usage).stderrMatches(/^s6-tcpserver-socketbinder: usage: /m);
  },
);

test("s6-tlsserver --explain prints the whole chain and starts nothing", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, ["--explain", "-v", "127.0.0.1", "0", "touch", "ran"]);
  run.exits(EXIT.ok).stderrIs("");
  expect(run.stdout.split("\n").map((line) => line.trim())).toEqual(
    expect.arrayContaining([
      `${BIN}/s6-tcpserver -v -- 127.0.0.1 0`,
      `${BIN}/s6-tcpserver-socketbinder -- 127.0.0.1 0`,
      `${BIN}/s6-tcpserverd -v2 --`,
      `${BIN}/s6-tcpserver-access -v2 --`,
    ]),
  );
  expect(scene.has("ran")).toBe(false);
});

describe("refused words", () => {
  bothWays("s6-tlsserver refuses a banner, which would be sent in clear", async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["-B", "hello", "127.0.0.1", "0", "cat"]);
    run
      .exits(EXIT.usage)
      .stderrIs(
        "s6-tlsserver: fatal: banner would be sent in clear, ahead of TLS: let the program send it\n",
      );
  });

  test.each([
    ["-y --cert-rules ::1 0 cat", "cert-rules needs rules: -i or -x"],
    ["-i rules --cert-rules ::1 0 cat", "cert-rules needs client certificates: -y or -Y"],
    ["--tls-user=no-such-account ::1 0 cat", "unknown user: no-such-account"],
    ["--tls-user=root ::1 0 cat", "tls-user must not be root: root"],
    ["-G '' ::1 0 cat", "gidlist must be a list of numeric group ids: "],
    ["-G 3,a ::1 0 cat", "gidlist must be a list of numeric group ids: 3,a"],
    ["-G , ::1 0 cat", "gidlist must be a list of numeric group ids: ,"],
    ["-u x ::1 0 cat", "uid must be an unsigned integer: x"],
    ["-c -1 ::1 0 cat", "global-max-connections must be an unsigned integer: -1"],
    ["--sni ::1 0 cat", "unrecognized boolean option: --sni"],
    ["--frob=1 ::1 0 cat", "unrecognized option with argument: --frob=1"],
    ["-e ::1 0 cat", "unrecognized short option: e"],
    ["-t", "option -t needs an argument"],
  ])("s6-tlsserver %s is a usage error", async (line, text) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, split(line));
    run.exits(EXIT.usage).stdoutIs("").stderrIs(`s6-tlsserver: fatal: ${text}\n`);
  });
});

test("s6-tlsserver --tls-user sets the variables that TLS runs under", async () => {
  await using scene = await newRecordingScene(NAME, "s6-tcpserver");
  scene.write("package/bin/s6-tcpserver", "#!/bin/sh\necho $TLS_UID $TLS_GID\n");
  const words = ["--tls-user=nobody", "127.0.0.1", "0", "cat"];
  const run = await runRecorded(scene, NAME, words);
  const ids = await scene.shell("echo $(id -u nobody) $(id -g nobody)");
  run.exits(EXIT.ok).stdoutIs(ids.stdout);
});
