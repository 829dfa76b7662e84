/** Our tcprules compiler and checker against those of ucspi-tcp. */

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cdb, checkDjbRules, RuleLineError, TcpRulesCompiler } from "../../src/access/index.ts";
import { parseEdit } from "../../src/net/index.ts";
import { loadPosix, replaceFile } from "../../src/posix/index.ts";
import { TemporaryDirectory } from "../access/samples.ts";
import { CLIENTS, expectAgreement, hostRules } from "../access/tcprules/host-rules.ts";
import { peer } from "../support/scene.ts";

import type { DjbVerdict, RemoteClient } from "../../src/access/index.ts";

const tcprules = peer("tcprules");
const tcprulescheck = peer("tcprulescheck");

/** The file our compiler makes of the text; undefined when it refuses it. */
function ours(directory: TemporaryDirectory, text: Uint8Array): Buffer | undefined {
  const path = directory.file("ours.cdb");
  try {
    replaceFile(loadPosix(), path, { tag: "test" }, (sink) => {
      const compiler = new TcpRulesCompiler("djb", sink, () => {});
      compiler.push(text);
      compiler.finish();
    });
    return readFileSync(path);
  } catch (error) {
    if (error instanceof RuleLineError) return undefined;
    throw error;
  }
}

function theirs(directory: TemporaryDirectory, text: Uint8Array): Buffer | undefined {
  const files = [directory.file("theirs.cdb"), directory.file("theirs.tmp")];
  const { status } = spawnSync(tcprules.path, files, { input: text });
  return status === 0 ? readFileSync(files[0] ?? "") : undefined;
}

const octet = fc.constantFrom(
  "0",
  "1",
  "10",
  "255",
  "256",
  "007",
  "",
  "x",
  "1-3",
  "250-300",
  "9-2",
);
const address = fc.oneof(
  fc.array(octet, { maxLength: 5 }).map((octets) => octets.join(".")),
  fc.constantFrom(
    "=",
    "=a.b-c.d",
    "=.b.c",
    "joe@1.2.3.4",
    "joe@=a.b",
    "",
    " ",
    "a-b",
    "::1",
    "1-",
    "-",
  ),
  fc.constantFrom("18446744073709551617-3.", "4294967297-3", "1.2-3.4-5", "1.-2.", "é", "\0"),
);
const instruction = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("allow", "deny") },
  fc.constantFrom('allow,A="b"', 'deny,A="b"', "allow,A=,,", 'allow,="x"', "allow,A=xbx,B=/c/"),
  fc.constantFrom('allow,A="', "deny,", "allowed", "", " deny", "allow,A", 'allow,A="b",', "denyx"),
);
const line = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(address, instruction).map(([a, i]) => `${a}:${i}`) },
  fc.constantFrom("", "#x:deny", " \t", "allow", "\t#", "\r", "x\0:allow"),
);
const end = fc.constantFrom("\n", "\n", "\n", " \n", "\t \n", "\r\n", "\n\n");

describe.skipIf(tcprules.isMissing)(`tcprules${tcprules.why}`, () => {
  test("tcprules makes the same file of any rules, or refuses them too", () => {
    using directory = new TemporaryDirectory();
    const texts = fc.array(fc.tuple(line, end), { maxLength: 4 });
    fc.assert(
      fc.property(texts, fc.boolean(), (lines, isCut) => {
        const whole = lines.map(([text, ending]) => text + ending).join("");
        const text = Buffer.from(isCut ? whole.slice(0, -1) : whole);
        expect(ours(directory, text)).toEqual(theirs(directory, text));
      }),
      { numRuns: 300 },
    );
  });

  test("tcprules makes the same file of twenty thousand rules", () => {
    using directory = new TemporaryDirectory();
    const lines = Array.from({ length: 20_000 }, (_, number) => {
      const ip = `10.${number % 7}.${number >> 8}.${number & 255}`;
      return `${ip}:${number % 3 === 0 ? "deny" : `allow,N="${number}"`}\n`;
    });
    const text = Buffer.from(lines.join(""));
    const file = ours(directory, text);
    expect(file?.equals(theirs(directory, text) ?? Buffer.alloc(0))).toBe(true);
  });
});

describe.skipIf(tcprulescheck.isMissing)(`tcprulescheck${tcprulescheck.why}`, () => {
  const host = fc.constantFrom(undefined, "", "a.b.c", "b.c", "a.b.c.", ".b", "A.b");
  const ip = fc.constantFrom("1.2.3.4", "1.2.9.9", "10.0.0.1", "::1", "1..2");
  const info = fc.constantFrom(undefined, "", "joe");
  const key = fc.constantFrom(
    "",
    "=",
    "=a.b.c",
    "=.b.c",
    "=.c",
    "=.",
    "1.",
    "1.2.",
    "1.2.3.4",
    "1..",
    "10.0.0.1",
    "joe@1.2.3.4",
    "joe@=a.b.c",
    "@10.0.0.1",
    "@=",
  );
  const verdict = fc.constantFrom("allow", "deny", 'allow,A="b",C=""', 'deny,A="b"');

  test("tcprulescheck finds the same rule for any client", () => {
    using directory = new TemporaryDirectory();
    const rules = fc.array(fc.tuple(key, verdict), { maxLength: 8 });
    fc.assert(
      fc.property(rules, ip, host, info, (lines, remoteIp, remoteHost, remoteInfo) => {
        const text = lines.map(([address, what]) => `${address}:${what}\n`).join("");
        const file = ours(directory, Buffer.from(text)) ?? Buffer.alloc(0);
        writeFileSync(directory.file("checked.cdb"), file);
        const client = { ip: remoteIp, host: remoteHost, info: remoteInfo };
        const env = { TCPREMOTEIP: remoteIp, TCPREMOTEHOST: remoteHost, TCPREMOTEINFO: remoteInfo };
        const run = spawnSync(tcprulescheck.path, [directory.file("checked.cdb")], { env });
        expect(report(new Cdb(file), client)).toBe(run.stdout.toString());
      }),
      { numRuns: 200 },
    );
  });
});

describe.skipIf(tcprulescheck.isMissing)(`tcprulescheck${tcprulescheck.why}, the judge`, () => {
  test("tcprulescheck agrees with rules about hosts that are compiled for s6", () => {
    using directory = new TemporaryDirectory();
    let spawns = 0;
    const ask = ({ ip, host }: RemoteClient): DjbVerdict => {
      const env = { TCPREMOTEIP: ip, ...(host !== undefined && { TCPREMOTEHOST: host }) };
      spawns += 1;
      const run = spawnSync(tcprulescheck.path, [directory.file("judge.cdb")], { env });
      return parseReport(run.stdout.toString());
    };
    const clients = fc.uniqueArray(fc.constantFrom(...CLIENTS), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(hostRules, clients, (text, some) => {
        writeFileSync(directory.file("judge.cdb"), ours(directory, Buffer.from(text)) ?? "");
        expectAgreement(text, some, ask);
      }),
      { numRuns: 60 },
    );
    expect(spawns).toBeGreaterThan(100);
  });
});

/** The verdict in what tcprulescheck prints. */
function parseReport(text: string): DjbVerdict {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const rule = /^rule (.*):$/.exec(head)?.[1];
  const variables = lines.slice(0, -1).map((one) => one.replace("set environment variable ", ""));
  return { allow: lines.at(-1) === "allow connection", rule, edits: variables.map(parseEdit) };
}

/** The output of tcprulescheck. */
function report(cdb: Cdb, client: Parameters<typeof checkDjbRules>[1]): string {
  const { allow, rule, edits } = checkDjbRules(cdb, client);
  const head = rule === undefined ? "default:" : `rule ${rule}:`;
  const variables = edits.map(({ name, value }) => `set environment variable ${name}=${value}`);
  const lines = [head, ...(allow ? variables : []), `${allow ? "allow" : "deny"} connection`];
  return `${lines.join("\n")}\n`;
}
