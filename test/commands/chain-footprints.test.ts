/**
 * A program finds the same descriptors, limits, signals and variables whether a shell has started it
 * or a chain of ours has: what Node does to its own process does not show.
 */

import { join } from "node:path";
import { describe, expect } from "vitest";
import { bothWays, peer, ROOT } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

const perl = peer("perl");
const BIRTH = join(ROOT, "test", "fixtures", "chain", "birth.pl");

/** Run the program by itself and behind `chain`, both after `setup` in a shell; what each has seen. */
async function compare(scene: Scene, setup: string, chain: string): Promise<[string, string]> {
  const quiet = "PWD=; OLDPWD=; unset PWD OLDPWD _;";
  const shell = `${quiet} ${setup.includes("RUN") ? setup : `${setup} RUN`}`;
  const program = `${perl.path} ${BIRTH}`;
  (await scene.shell(shell.replace("RUN", `${program} plain word`))).exits(0);
  (await scene.shell(shell.replace("RUN", `${chain} ${program} chained word`))).exits(0);
  return [withoutSwitch(scene.read("plain")), withoutSwitch(scene.read("chained"))];
}

const FUSIBLE = "s6-envdir empty s6-envdir empty";

const SETUPS: readonly (readonly [string, string])[] = [
  ["nothing special", ":;"],
  ["a soft limit on open files below the hard one", "ulimit -Sn 256;"],
  ["a hard limit on open files", "ulimit -n 300;"],
  ["a hard limit that is followed by an exec", "ulimit -n 300; exec RUN"],
  ["other limits", "ulimit -Ss 4096; ulimit -Sf 10000;"],
  ["standard input closed", "RUN <&-"],
  ["standard output closed", "RUN >&-"],
  ["standard error closed", "RUN 2>&-"],
  ["all of them closed", "RUN <&- >&- 2>&-"],
  ["/dev/null on all of them", "RUN </dev/null >/dev/null 2>/dev/null"],
  ["one /dev/null for reading and writing on all of them", "RUN <>/dev/null >&0 2>&0"],
  ["pipes on all of them", "echo | RUN 2>&1 | cat"],
  ["more descriptors", "exec 5</dev/zero 9>file; RUN"],
  ["/dev/null above 2", "RUN 4</dev/null 8<>/dev/null"],
  ["a pipe above 2", "{ echo | { RUN; } 8<&0 </dev/zero; }"],
  ["a variable that is none for a shell", "exec env 'A-B=c' 'X=' RUN"],
  [
    "variables that Node acts on",
    "exec env NODE_OPTIONS=--bogus NODE_CHANNEL_FD=9 NODE_UNIQUE_ID=3 OPENSSL_CONF=/nowhere RUN",
  ],
  ["variables like those of a launcher", "exec env UCSPI_ASIDE_A=b UV_THREADPOOL_SIZE=x RUN"],
  ["ignored signals", "trap '' HUP INT QUIT TERM USR1 CHLD; RUN"],
  ["a soft limit that is followed by an exec", "ulimit -Sn 250; exec RUN"],
  ["a closed descriptor under something that is no shell", "exec <&-; exec env RUN"],
];

describe.skipIf(perl.isMissing)(`the footprints of a chain${perl.why}`, () => {
  for (const [title, setup] of SETUPS) {
    bothWays(`a chain leaves no footprints with ${title}`, async (scenes) => {
      await using scene = await scenes({ files: { "empty/": "" } });
      const [plain, chained] = await compare(scene, setup, FUSIBLE);
      expect(chained).toBe(plain);
    });
  }

  bothWays(
    "a chain leaves no footprints with blocked signals and an ignored SIGPIPE",
    async (scenes) => {
      await using scene = await scenes({ files: { "empty/": "" } });
      const mask = "exec env --block-signal=TERM,USR2,RTMIN --ignore-signal=PIPE,WINCH RUN";
      const [plain, chained] = await compare(scene, mask, FUSIBLE);
      expect(chained).toBe(plain);
    },
  );

  bothWays("a chain leaves no footprints where a child is made", async (scenes) => {
    await using scene = await scenes({ files: { "empty/": "" } });
    const chain = "s6-fghack s6-envdir empty";
    const [plain, chained] = await compare(scene, "ulimit -Sn 256; RUN 5</dev/zero", chain);
    const withoutPipe = chained.replace(/^\d+: pipe:.*\n/gm, (line) =>
      /^[012]:/.test(line) ? line : "",
    );
    expect(withoutPipe).toBe(plain);
  });
});

/** The variable that makes every link an exec is the test's doing. */
function withoutSwitch(dump: string): string {
  return dump.replace(/^UCSPI_CHAIN=exec\n/gm, "");
}
