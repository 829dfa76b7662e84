/**
 * The fd holder and its clients against those of Debian's s6 and, where S6_NETWORKING_BIN names it, of the
 * C suite's newest release: either side of every exchange.
 */

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ruleFiles, startHolder } from "../support/fd-holder.ts";
import { BIN, newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { original, withoutSuite } from "./support.ts";

const debian = peer("s6-fdholderd");
const debianBin = join(debian.path, "..");
const suiteBin = join(original("s6-fdholderd").path, "..");

interface Side {
  readonly name: string;
  readonly bin: string;
  readonly why: string;
  /** The entries of a dump: more than one message takes, but 2.11 has faults with such. */
  readonly dumped: number;
}

const OURS: Side = { name: "ours", bin: BIN, why: "", dumped: 300 };
const THEIRS: readonly Side[] = [
  { name: "Debian's s6", bin: debianBin, why: debian.why, dumped: 250 },
  { name: "the C suite", bin: suiteBin, why: withoutSuite, dumped: 300 },
];

/** Who holds and who asks. */
const PAIRS = THEIRS.flatMap((theirs) => [
  { holder: theirs, client: OURS, why: theirs.why },
  { holder: OURS, client: theirs, why: theirs.why },
]);

function start(scene: Scene, { bin, name }: Side, socket = "s"): ReturnType<typeof startHolder> {
  return name === "ours"
    ? startHolder(scene, { socket })
    : startHolder(scene, { socket, file: join(bin, "s6-fdholderd") });
}

/** A shell script with the commands of one side. */
function script(scene: Scene, { bin }: Side, text: string): Promise<Run> {
  return scene.shell(text, { env: { PATH: `${bin}:${process.env["PATH"] ?? ""}` } });
}

describe.each(PAIRS)("clients of $client.name and a holder of $holder.name", (pair) => {
  const { holder, client, why } = pair;

  test.skipIf(why !== "")(`store, list, retrieve and delete${why}`, async () => {
    await using scene = await newScene({ files: { ...ruleFiles(), file: "stored\n" } });
    await start(scene, holder);
    const run = await script(
      scene,
      client,
      `s6-fdholder-store s a <file && s6-fdholder-store -T 60000 s 'b c' </dev/null
       s6-fdholder-store s a </dev/null; echo $?
       s6-fdholder-list s | sort
       s6-fdholder-retrieve s a cat
       s6-fdholder-retrieve s none cat; echo $?
       s6-fdholder-retrieve -D s 'b c' cat && s6-fdholder-delete s a
       s6-fdholder-list s`,
    );
    run.exits(0).stdoutIs("1\na\nb c\nstored\n1\n");
    run.stderrMatches(/Device or resource busy\n.*No such file or directory/);
  });

  test.skipIf(why !== "")(`set a dump of many descriptors, and go on${why}`, async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await start(scene, holder);
    const dumped = Math.min(holder.dumped, client.dumped);
    const numbers = Array.from({ length: dumped }, (_, index) => index);
    const words = [
      `S6_FD#=${dumped}`,
      ...numbers.flatMap((index) => [`S6_FD_${index}=0`, `S6_FDID_${index}=id${index}`]),
      ...[join(client.bin, "s6-fdholder-setdump"), "s"],
    ];
    (await scene.execute("/usr/bin/env", words).finished()).exits(0).stderrIs("");
    const goOn = "s6-fdholder-delete s id7 && s6-fdholder-store -t 5000 s id7 </dev/null";
    const run = await script(
      scene,
      client,
      `s6-fdholder-list s | wc -l; s6-fdholder-getdump s env | grep -c '^S6_FD_'
       ${goOn}`,
    );
    run.exits(0).stdoutIs(`${dumped}\n${dumped}\n`).stderrIs("");
  });

  test.skipIf(why !== "")(`transfer between holders of both kinds${why}`, async () => {
    await using scene = await newScene({ files: { ...ruleFiles(), file: "stored\n" } });
    await start(scene, holder);
    await start(scene, holder === OURS ? client : OURS, "t");
    const run = await script(
      scene,
      client,
      `s6-fdholder-store -T 60000 s a <file && s6-fdholder-store s b </dev/null
       s6-fdholder-transferdump s t && s6-fdholder-list t | sort
       s6-fdholder-getdump s env | grep '^S6_FDLIMIT' >one
       s6-fdholder-getdump t env | grep '^S6_FDLIMIT' >two; cut -d= -f2 one two | sort -u | wc -l
       s6-fdholder-retrieve t a cat`,
    );
    run.exits(0).stdoutIs("a\nb\n1\nstored\n").stderrIs("");
  });
});

describe.each(THEIRS)("a successor of ours and a holder of $name", (theirs) => {
  test.skipIf(theirs.why !== "")(
    `leave everything as it was, for that hands nothing over${theirs.why}`,
    async () => {
      await using scene = await newScene({ files: ruleFiles() });
      await start(scene, theirs);
      (await script(scene, theirs, "s6-fdholder-store s a </dev/null")).exits(0);
      const run = await scene.run("s6-fdholder-daemon", ["--take-over", "-i", "rules", "s"]);
      run
        .exits(111)
        .stderrMatches(/unable to take over from the holder on stdin: (Broken pipe|Conn)/);
      const list = await scene.run("s6-fdholder-list", ["s"]);
      list.exits(0).stdoutIs("a\n");
    },
  );
});

test.skipIf(debian.why !== "")(
  `activated sockets lose no client when their server is killed${debian.why}`,
  async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    const bound = ["127.0.0.1", "0", "s6-fdholder-store", "s", "tcp"];
    (await scene.run("s6-tcpserver-socketbinder", bound)).exits(0);
    const words = ["s", "tcp", "s6-tcpserverd", "-1", "echo", "served"];
    const first = scene.start("s6-fdholder-retrieve", words);
    const [port] = await first.line(/^\d+$/);
    first.signal("SIGKILL");
    await first.ended();
    const client = scene.start("s6-tcpclient", ["127.0.0.1", port, "sh", "-c", "cat <&6"]);
    const file = join(debianBin, "s6-fdholder-retrieve");
    const second = scene.execute(file, [
      "s",
      "tcp",
      join(BIN, "s6-tcpserverd"),
      "-1",
      "echo",
      "served",
    ]);
    await second.line(/^\d+$/);
    expect((await client.finished()).stdoutBytes.toString()).toBe("served\n");
  },
);
