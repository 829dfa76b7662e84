/**
 * s6-ident-client against its original, reply by reply, and all of ours that asks IDENT servers against
 * oidentd.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { IDENT_REPLY_BYTES_MAX } from "../../src/ident/index.ts";
import { connectAs, identAddress, scriptedServer } from "../support/ident.ts";
import type { LocalConnection } from "../support/ident.ts";
import { isRoot, newScene } from "../support/scene.ts";
import type { Content, Run, Scene } from "../support/scene.ts";
import { startServer } from "../ucspi/servers.ts";
import { oidentd, startOidentd, withoutRoot } from "./ident.ts";
import { startOf, withoutSuite } from "./support.ts";
import type { Suite } from "./support.ts";

const NAME = "s6-ident-client";
const HERE = "127.0.0.1";

function askAs(suite: Suite, scene: Scene, words: readonly string[]): Promise<Run> {
  return startOf(suite, scene, NAME, words).finished();
}

interface Seen {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** The result of a client for a reply; the ports are those of the examples of RFC 1413. */
async function seenBy(suite: Suite, reply: Content): Promise<Seen> {
  await using scene = await newScene();
  await using server = await scriptedServer(reply);
  const run = await askAs(suite, scene, [server.ip, "6193", HERE, "23"]);
  expect(server.asked).toEqual(["6193 , 23\r\n"]);
  return {
    exitCode: run.exitCode,
    stdout: run.stdoutBytes.toString("latin1"),
    stderr: run.stderr,
  };
}

/** Either client's, and the same but for the CR, which the original takes for a part of the name. */
async function seenByBoth(reply: Content): Promise<Seen> {
  const [theirs, ours] = await Promise.all([seenBy("C", reply), seenBy("ours", reply)]);
  expect(ours).toEqual({ ...theirs, stdout: theirs.stdout.replace(/\r\n$/, "\n") });
  return ours;
}

/** A reply with a name of this length. */
function nameOf(length: number): string {
  return `6193,23:USERID:UNIX:${"x".repeat(length)}\n`;
}

/** A reply of this length, its newline included. */
function lineOf(length: number): string {
  return `6193,23:USERID:${"X".repeat(length - 18)}:x\n`;
}

const why = withoutSuite + withoutRoot;

describe.skipIf(why !== "")(`${NAME} of the C suite${why}`, () => {
  test.each([
    ["6193,23:USERID:UNIX:stjohns\r\n", EXIT.ok, /^$/],
    ["6193,23:USERID:UNIX:\r\n", EXIT.ok, /^$/],
    [" 006193\t, 23 : USERID : UNIX ,X :  two  blanks \n", EXIT.ok, /^$/],
    ["6193,23:USERID:UNIX:a:b\n6193,23:ERROR:NO-USER\n", EXIT.ok, /^$/],
    [Buffer.from("6193,23:USERID:UNIX:\xe9\xff\n", "latin1"), EXIT.ok, /^$/],
    ["6193,23:ERROR:INVALID-PORT\r\n", EXIT.refused, /: invalid port$/],
    ["6193,23:ERROR: NO-USER\n", EXIT.refused, /: no such user$/],
    ["6193,23:ERROR:HIDDEN-USER \r\n", EXIT.refused, /: identification denied$/],
    ["6193,23:ERROR:UNKNOWN-ERROR\r\n", EXIT.refused, /: unknown error$/],
    ["6193,23:ERROR:X-HALT\r\n", EXIT.refused, /: X-error-token$/],
    ["6193,23:ERROR:OTHER\r\n", EXIT.system, /: Protocol error$/],
    ["6193,23:USERID:UNIX\r\n", EXIT.system, /: Protocol error$/],
    ["23,6193:USERID:UNIX:x\r\n", EXIT.system, /: Protocol error$/],
    ["0,0:ERROR:INVALID-PORT\r\n", EXIT.system, /: Protocol error$/],
    ["\r\n", EXIT.system, /: Protocol error$/],
    ["6193,23:USERID:UNIX:cut", EXIT.refused, /: unknown error$/],
    ["", EXIT.refused, /: unknown error$/],
  ])(
    "s6-ident-client of either suite gives the same result for %j",
    async (reply, exitCode, text) => {
      const seen = await seenByBoth(reply);
      expect(seen.exitCode).toBe(exitCode);
      expect(seen.stderr.trimEnd()).toMatch(text);
    },
  );

  test("s6-ident-client of the C suite has the same limits of length, almost", async () => {
    for (const [reply, exitCode] of [
      [nameOf(510), EXIT.ok],
      [nameOf(512), EXIT.system],
      [lineOf(IDENT_REPLY_BYTES_MAX), EXIT.ok],
    ] as const) {
      expect((await seenByBoth(reply)).exitCode).toBe(exitCode);
    }
    expect((await seenBy("C", nameOf(511))).stdout).toBe("x".repeat(511));
    expect((await seenBy("ours", nameOf(511))).stdout).toBe(`${"x".repeat(511)}\n`);
    const tooLong = lineOf(IDENT_REPLY_BYTES_MAX + 1);
    expect((await seenBy("C", tooLong)).stderr).toMatch(/: Numerical result out of range\n$/);
    expect((await seenBy("ours", tooLong)).stderr).toMatch(/: Protocol error\n$/);
  });

  test("s6-ident-client of either suite gives the same result for any reply that is not in differs.md", async () => {
    const blanks = fc.constantFrom("", "", " ", "\t", " \t");
    const port = fc.constantFrom("6193", "6193", "06193", "23", "023", "0", "65536", "-1", "");
    const kind = fc.constantFrom("USERID", "USERID", "ERROR", "ERROR", "OTHER", "USERIDS", "");
    const rest = fc.oneof(
      fc.string({ maxLength: 20 }).map((user) => `UNIX:${user.replace(/[^ -~]/g, "_")}`),
      fc.constantFrom("INVALID-PORT", "NO-USER", "HIDDEN-USER", "UNKNOWN-ERROR", "XYZ", "ZYX"),
      fc.constantFrom("UNIX", "", ":", " : ", "OTHER, UTF-8 : name"),
    );
    const reply = fc
      .tuple(blanks, port, blanks, blanks, port, blanks, blanks, kind, blanks, blanks, rest)
      .map(([a, remote, b, c, local, d, e, word, f, g, text]) =>
        [a, remote, b, ",", c, local, d, ":", e, word, f, ":", g, text, "\r\n"].join(""),
      );
    await fc.assert(
      fc.asyncProperty(reply, async (line) => void (await seenByBoth(line))),
      { numRuns: 60, seed: 1413 },
    );
  }, 60_000);

  test.each([
    ["6193,23:userid:unix:x\n", EXIT.system, EXIT.ok],
    ["6193,23:USERID:UNIX:a\tb\n", EXIT.ok, EXIT.system],
    ["6193,23:ERROR:NO-USER either\n", EXIT.refused, EXIT.system],
  ])(
    "s6-ident-client of the C suite differs as differs.md describes for %j",
    async (reply, theirs, ours) => {
      expect((await seenBy("C", reply)).exitCode).toBe(theirs);
      expect((await seenBy("ours", reply)).exitCode).toBe(ours);
    },
  );

  test.each([
    ["", "usage"],
    ["127.0.0.1 1 127.0.0.1", "usage"],
    ["-t x 127.0.0.1 1 127.0.0.1 2", "usage"],
    ["x 1 127.0.0.1 2", "invalid IP address: x"],
    ["127.0.0.1 y 127.0.0.1 2", "invalid port number: y"],
    ["127.0.0.1 1 127.0.0.1 65536", "invalid port number: 65536"],
    ["127.0.0.1 1 ::1 2", "address family mismatch"],
  ])("s6-ident-client of either suite refuses the words: %s", async (words, text) => {
    await using scene = await newScene();
    for (const suite of ["C", "ours"] as const) {
      const run = await askAs(suite, scene, words.split(" ").filter(Boolean));
      run.exits(EXIT.usage).stdoutIs("");
      expect(run.stderr).toContain(`${NAME}: `);
      expect(run.stderr).toContain(text);
    }
  });

  test("s6-ident-client of either suite gives up at its timeout", async () => {
    await using scene = await newScene();
    await using silent = await scriptedServer(undefined);
    for (const [words, exitCode] of [
      [["-t", "300", silent.ip, "1", HERE, "2"], EXIT.timedOut],
      [["-t", "300", identAddress(), "1", HERE, "2"], EXIT.system],
      [["-t", "300", HERE, "1", "192.0.2.1", "2"], EXIT.system],
    ] as const) {
      const [theirs, ours] = await Promise.all([
        askAs("C", scene, words),
        askAs("ours", scene, words),
      ]);
      theirs.exits(exitCode);
      ours.exits(exitCode).stdoutIs(theirs.stdout);
      expect(ours.stderr).toBe(theirs.stderr);
    }
  });
});

const whyNot = oidentd.why + withoutRoot;

describe.skipIf(whyNot !== "")(`oidentd${whyNot}`, () => {
  const DAEMON = 1;

  /** Words that ask about a connection from the machine `ip` to the server `HERE`. */
  function about(ip: string, { local, remote }: LocalConnection): string[] {
    return ["-t", "10000", ip, String(local), HERE, String(remote)];
  }

  test("oidentd gives s6-ident-client the user, NO-USER and HIDDEN-USER", async () => {
    await using scene = await newScene();
    const ip = await startOidentd(scene, "user games { default { force hide } }");
    const { port } = await startServer(scene, "", ["sleep", "60"]);
    const daemon = await connectAs(scene, DAEMON, { port, from: ip });
    const games = await connectAs(scene, 5, { port, from: ip });
    (await scene.run(NAME, about(ip, daemon))).exits(EXIT.ok).stdoutIs("daemon\n");
    (await scene.run(NAME, about(ip, games)))
      .exits(EXIT.refused)
      .stderrIs(`${NAME}: warning: ident server replied: identification denied\n`);
    (await scene.run(NAME, about(ip, { local: daemon.local, remote: 1 })))
      .exits(EXIT.refused)
      .stderrIs(`${NAME}: warning: ident server replied: no such user\n`);
    (await scene.run(NAME, [ip, "0", HERE, "1"]))
      .exits(EXIT.refused)
      .stderrIs(`${NAME}: warning: ident server replied: invalid port\n`);
  });

  test("oidentd gives s6-tcpserver-access and s6-tcpclient the user", async () => {
    await using scene = await newScene();
    const ip = await startOidentd(scene);
    const told = ["sh", "-c", 'echo "told $TCPREMOTEINFO" >&2; sleep 60'];
    const access = ["s6-tcpserver-access", "-v0", "-H", "-r", "-t", "10000"];
    const server = await startServer(scene, "-q", [...access, ...told]);
    await connectAs(scene, DAEMON, { port: server.port, from: ip });
    await server.process.line(/^told daemon$/);
    const options = ["-q", "-H", "-r", "-i", HERE];
    const elsewhere = await startServer(scene, "-q", ["sleep", "60"], { ip });
    const { port } = elsewhere;
    const run = scene.start("s6-tcpclient", [...options, ip, String(port), ...told]);
    await run.line(new RegExp(`^told ${isRoot ? "root" : ""}$`));
  });
});
