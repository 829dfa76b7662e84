/** The chains that s6-tlsserver and s6-tlsclient write: the words of ours and of the C suite's, compared. */

import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newRecordingScene, RECORDER, runRecorded, wordsOf } from "../tls/recorder.ts";
import { original, withoutSuite } from "./support.ts";

/** The words of the first program of the chain, by ours and by the original. */
async function bothWords(command: string, recorded: string, words: readonly string[]) {
  await using scene = await newRecordingScene(command, recorded);
  const ours = await runRecorded(scene, command, words);
  ours.exits(EXIT.ok).stderrIs("");
  // The original may have been built to find the others by PATH or by absolute path.
  scene.write(`originals/${recorded}`, RECORDER);
  const env = { PATH: `${scene.path("originals")}:${process.env["PATH"] ?? ""}` };
  const theirs = await scene.execute(original(command).path, words, { env }).finished();
  theirs.exits(EXIT.ok);
  return { ours: wordsOf(scene, ours), theirs: wordsOf(scene, theirs) };
}

function split(line: string): string[] {
  return line.split(" ").map((word) => (word === "''" ? "" : word));
}

describe.skipIf(withoutSuite !== "")(`the words of both suites${withoutSuite}`, () => {
  test.each([
    "",
    "-H",
    "-v -H -L -U -K 3000 -S -J -y -k 2 -Z -t 5000 -i rules -l 0 -c 5 -C 2 -b 9 -1 -D -w -r -p -h",
    "-q -Y -k 1 -x rules.cdb -u 1 -g 2 -G 3,4",
    "-vqQ",
    "-qQv",
    "-c 0 -C 0 -b 0",
    "-H --dns",
    "-H -h -d -R -P -W -t 0",
    "-H -w",
    "-H -D",
    "-H -r",
    "-H -p",
    "-H -l ''",
    "-H -t 3",
    "-i a -x b",
    "-x b -i a",
    "-yY -sS -jJ -zZ",
    "-Ss -Jj -Zz -k 1 -k 0",
    "-u 0",
    "-g 0 -u 7",
    "-U -u 5 -g 7 -G 1",
    "-u 5 -U",
    "-G 3:4;5",
    "-L",
    "--verbose --no-dns --proxy --envuidgid --handshake-timeout=3000 --close-notify --enforce-close-notify",
    "--mandatory-client-cert --sni-level=3 --keep --timeout=5000 --rules-directory=rules --local-name=0",
    "--global-max-connections=5 --local-max-connections=2 --backlog=9 --notify --no-nagle --nagle",
    "--strict-resolution --ident --paranoid --hosts --no-hosts --no-strict-resolution --no-ident",
    "--quiet --client-cert --rules-file=r --uid=1 --gid=2 --gidlist=3:4 --no-paranoid --normally-verbose",
    "--no-close-notify --no-enforce-close-notify --no-keep",
  ])("s6-tlsserver %s runs the words that the C suite runs", async (options) => {
    const words = [...(options === "" ? [] : split(options)), "127.0.0.1", "7007", "cat", "-a b"];
    const { ours, theirs } = await bothWords("s6-tlsserver", "s6-tcpserver", words);
    expect(ours).toEqual(theirs);
  });

  test.each([
    "",
    "-v -4 -6 -D -H -h -r -t 7 -l me -T 3 -i 127.0.0.1 -p 0 -S -J -y --no-verify-cert -Z -K 100 -k name",
    "-q -N -T 3+4 -i 0.0.0.0 -p 7777",
    "-6 -4",
    "-vqQ",
    "-v -v",
    "-t 0 -i :: -T 0",
    "-yY -Ss -Jj -Zz --no-verify-cert --verify-cert",
    "--verbose --ipv4 --ipv6 --no-nagle --nagle --hosts --no-hosts --ident --no-ident --no-qualify",
    "--quiet --no-dns --dns --timeout=7 --local-name=me --connection-timeouts=3+9 --local-ip=::1",
    "--normally-verbose --local-port=5 --close-notify --enforce-close-notify --client-cert --keep",
    "--handshake-timeout=100 --servername=name --no-verify-cert",
    "--no-close-notify --no-enforce-close-notify --no-client-cert --verify-cert --no-keep",
  ])("s6-tlsclient %s runs the words that the C suite runs", async (options) => {
    const words = [...(options === "" ? [] : split(options)), "host.example.com", "443", "app", ""];
    const { ours, theirs } = await bothWords("s6-tlsclient", "s6-tcpclient", words);
    expect(ours).toEqual(theirs);
  });

  test.each([
    ["-n host 1 app", "s6-tcpclient -n -- host 1 s6-tlsc -k host -- app", "-N "],
    ["127.0.0.1 1 app", "s6-tcpclient -- 127.0.0.1 1 s6-tlsc -k 127.0.0.1 -- app", "s6-tlsc --"],
    ["host. 1 app", "s6-tcpclient -- host. 1 s6-tlsc -k host -- app", "-k host. "],
    [
      "1.2.3.4.a.b 1 app",
      "s6-tcpclient -- 1.2.3.4.a.b 1 s6-tlsc -k 1.2.3.4.a.b -- app",
      "s6-tlsc --",
    ],
    ["-K 0 host 1 app", "s6-tcpclient -- host 1 s6-tlsc -K 0 -k host -- app", "s6-tlsc -k"],
  ])(
    "s6-tlsclient %s runs other words, as differs.md describes",
    async (line, expected, instead) => {
      const { ours, theirs } = await bothWords("s6-tlsclient", "s6-tcpclient", line.split(" "));
      expect(ours.join(" ")).toBe(expected);
      expect(theirs.join(" ")).toContain(instead);
      expect(theirs).not.toEqual(ours);
    },
  );
});
