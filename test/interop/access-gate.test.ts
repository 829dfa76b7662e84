/**
 * The clients that running servers admit: the same random rules behind our super-server and behind those
 * of the C suite and of ucspi-tcp, and clients from random addresses of 127.0.0.0/8.
 */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { announced } from "../ucspi/servers.ts";
import { original, startOf, withoutSuite } from "./support.ts";

const octet = fc.constantFrom(0, 1, 2, 64, 127, 128, 200, 255);
const address = fc
  .tuple(octet, octet, fc.constantFrom(1, 2, 64, 127, 128, 200, 254))
  .map((rest) => `127.${rest.join(".")}`);

/** The first of its bits of an address, as text. */
function masked(ip: string, bits: number): string {
  const whole = ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - bits);
  const start = whole - (whole % size);
  return [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join(".");
}

const RUNS = { numRuns: 4, seed: 2026 };
const CLIENTS = 12;

/** The bytes that clients read, each from its own address, all at a time. */
async function answers(port: number, from: readonly string[]): Promise<readonly string[]> {
  return await Promise.all(from.map((ip) => ask(port, "", { from: ip })));
}

interface SampleRule {
  readonly ip: string;
  readonly bits: number;
  readonly verdict: string;
  /** The value of FOO. */
  readonly variable: string | null;
}

const FACTS = ["sh", "-c", "echo in ${FOO-none}"];

describe.skipIf(withoutSuite !== "")(`s6-tcpserver-access of the C suite${withoutSuite}`, () => {
  const rule: fc.Arbitrary<SampleRule> = fc.record({
    ip: address,
    bits: fc.constantFrom(0, 8, 9, 15, 16, 17, 24, 31, 32),
    verdict: fc.constantFrom("allow", "allow", "deny", "neither"),
    variable: fc.option(fc.constantFrom("a", "b \t", "")),
  });

  function writeRules(scene: Scene, rules: readonly SampleRule[]): void {
    scene.write("rules/ip4/", "");
    for (const { ip, bits, verdict, variable } of rules) {
      const folder = `rules/ip4/${masked(ip, bits)}_${bits}`;
      scene.write(`${folder}/`, "");
      if (verdict !== "neither") scene.write(`${folder}/${verdict}`, "");
      if (variable !== null) scene.write(`${folder}/env/FOO`, variable);
    }
  }

  test("s6-tcpserver-access of the C suite admits the same clients, by a directory and by CDB files of either suite", async () => {
    const rules = fc.array(rule, { minLength: 1, maxLength: 8 });
    const from = fc.array(address, { minLength: CLIENTS, maxLength: CLIENTS });
    await fc.assert(
      fc.asyncProperty(rules, from, async (set, clients) => {
        await using scene = await newScene();
        writeRules(scene, set);
        const compile = "s6-accessrules-cdb-from-fs";
        (await scene.run(compile, ["ours.cdb", "rules"])).exits(EXIT.ok);
        const theirs = await scene
          .execute(original(compile).path, ["theirs.cdb", "rules"])
          .finished();
        theirs.exits(0);
        // An address that a rule names decides more often than one at random.
        const all = [...clients, ...set.map(({ ip }) => ip)];
        const seen = await Promise.all(
          (["ours", "C"] as const).flatMap((suite) =>
            ["-irules", "-xours.cdb", "-xtheirs.cdb"].map(async (option) => {
              const program = ["s6-tcpserver-access", "-v0", "-H", option, ...FACTS];
              const words = ["-1", "-q", "0.0.0.0", "0", ...program];
              const started = startOf(suite, scene, "s6-tcpserver", words);
              const { port } = await announced(started);
              return await answers(port, all);
            }),
          ),
        );
        for (const other of seen) expect(other).toEqual(seen[0]);
      }),
      RUNS,
    );
  });
});

const tcpserver = peer("tcpserver");
const tcprules = peer("tcprules");
const why = tcpserver.why || tcprules.why;

describe.skipIf(why !== "")(`tcpserver -x of ucspi-tcp${why}`, () => {
  const line = fc
    .tuple(address, fc.constantFrom(1, 2, 3, 4), fc.constantFrom("allow", "deny", 'allow,FOO="x"'))
    .map(([ip, parts, verdict]) => {
      const prefix = ip.split(".").slice(0, parts).join(".");
      return `${prefix}${parts < 4 ? "." : ""}:${verdict}\n`;
    });
  const fallback = fc.constantFrom("", ":deny\n", ":allow\n", ':allow,FOO="all"\n');

  /** Serve with the rules of one of the files. */
  async function theirAnswers(scene: Scene, file: string, from: readonly string[]) {
    const options = ["-1", "-q", "-H", "-R", "-l", "localhost", "-x", file, "0", "0"];
    const { port } = await announced(scene.execute(tcpserver.path, [...options, ...FACTS]));
    return await answers(port, from);
  }

  test("tcpserver -x of ucspi-tcp decides alike by a file of s6-tcprules --format=djb and by one of its own", async () => {
    const from = fc.array(address, { minLength: CLIENTS, maxLength: CLIENTS });
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 8 }),
        fallback,
        from,
        async (lines, last, all) => {
          const text = lines.join("") + last;
          await using scene = await newScene();
          const ours = await scene.run("s6-tcprules", ["--format=djb", "ours.cdb", "ours.tmp"], {
            input: text,
          });
          ours.exits(EXIT.ok);
          const words = ["theirs.cdb", "theirs.tmp"];
          (await scene.execute(tcprules.path, words, { input: text }).finished()).exits(0);
          expect(scene.readBytes("ours.cdb")).toEqual(scene.readBytes("theirs.cdb"));
          const [a, b] = await Promise.all([
            theirAnswers(scene, "ours.cdb", all),
            theirAnswers(scene, "theirs.cdb", all),
          ]);
          expect(a).toEqual(b);
        },
      ),
      RUNS,
    );
  });

  test("tcpserver -x of ucspi-tcp admits the same clients as our access control by a file of s6-tcprules", async () => {
    const from = fc.array(address, { minLength: CLIENTS, maxLength: CLIENTS });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), from, async (lines, all) => {
        const text = `${lines.join("")}127.:deny\n`;
        await using scene = await newScene();
        const ours = await scene.run("s6-tcprules", ["ours.cdb", "ours.tmp"], { input: text });
        ours.exits(EXIT.ok);
        const words = ["theirs.cdb", "theirs.tmp"];
        (await scene.execute(tcprules.path, words, { input: text }).finished()).exits(0);
        const gate = ["s6-tcpserver-access", "-v0", "-H", "-x", "ours.cdb"];
        const started = scene.start("s6-tcpserver", [
          "-1",
          "-q",
          "0.0.0.0",
          "0",
          ...gate,
          ...FACTS,
        ]);
        const { port } = await announced(started);
        expect(await answers(port, all)).toEqual(await theirAnswers(scene, "theirs.cdb", all));
      }),
      RUNS,
    );
  });
});
