/**
 * Our rules against the C suite: converters and checks, on the same random rules. S6_NETWORKING_BIN
 * is the directory of its programs; what the system has installed of them is used otherwise.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CdbRules,
  CdbRuleSet,
  compileDirectory,
  DirectoryRules,
  unpackCdb,
} from "../../src/access/index.ts";
import {
  cdbBytes,
  mustParseIp,
  NodeFiles,
  sampleFiles,
  sampleValue,
  TemporaryDirectory,
} from "../access/samples.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { peer } from "../support/scene.ts";

import type { Peer } from "../support/scene.ts";
import type { SampleRule } from "../access/samples.ts";
import type { Verdict } from "../../src/access/index.ts";

const SUITE = process.env["S6_NETWORKING_BIN"];

/** A program of the C suite, or of the system where there is no suite and it may be older. */
function original(name: string, { isOnlyInSuite = false } = {}): Peer {
  const path = SUITE === undefined ? undefined : join(SUITE, name);
  if (path !== undefined && existsSync(path)) return { name, path, isMissing: false, why: "" };
  if (!isOnlyInSuite) return peer(name);
  const why = ` (skipped: S6_NETWORKING_BIN names no directory with ${name})`;
  return { name, path: name, isMissing: true, why };
}

const cdbFromFs = original("s6-accessrules-cdb-from-fs");
const fsFromCdb = original("s6-accessrules-fs-from-cdb");
const ipcAccess = original("s6-ipcserver-access");
const tcpAccess = original("s6-tcpserver-access", { isOnlyInSuite: true });

const keys = fc.constantFrom(
  "uid/0",
  "uid/7",
  "uid/self",
  "uid/default",
  "gid/0",
  "gid/8",
  "gid/self",
  "ip4/10.0.0.0_8",
  "ip4/10.1.0.0_16",
  "ip4/10.1.2.3_32",
  "ip4/0.0.0.0_0",
  "ip4/10.1.2.3_8",
  "ip6/2001:db8::_32",
  "ip6/2001:db8::1_128",
  "ip6/::_0",
  "ip6/::ffff:102:304_128",
  "reversedns/example.org",
  "reversedns/@",
  "other/x",
  "clientcert/@",
  "clientcert/none",
  "clientcert/uri:spiffe:%2F%2Fa.example%2Fdb",
  "clientcert/subject:CN=a",
);
const texts = fc.constantFrom("allow", "deny", "allow A=b", "allow A=b C D= E=x", "neither");
const ruleSets: fc.Arbitrary<SampleRule[]> = fc
  .uniqueArray(fc.tuple(keys, texts), { selector: ([key]) => key, maxLength: 12 })
  .map((rules) => rules.map(([key, text]) => ({ key, text })));

function writeRules(directory: TemporaryDirectory, rules: readonly SampleRule[]): string {
  rmSync(directory.file("rules"), { recursive: true, force: true });
  directory.write({ "rules/": "" });
  for (const rule of rules) {
    for (const [path, content] of Object.entries(sampleFiles(rule))) {
      directory.write({ [`rules/${path}`]: content });
    }
  }
  return directory.file("rules");
}

function compileOurs(rules: string, cdb: string): Buffer {
  compileDirectory(rules, cdb, { posix: new NodeFiles(), warn: () => {} });
  return readFileSync(cdb);
}

describe.skipIf(cdbFromFs.isMissing)(`s6-accessrules-cdb-from-fs${cdbFromFs.why}`, () => {
  test("s6-accessrules-cdb-from-fs of either suite makes the very same file of a directory", () => {
    using directory = new TemporaryDirectory();
    fc.assert(
      fc.property(ruleSets, (rules) => {
        const source = writeRules(directory, rules);
        const theirs = directory.file("theirs.cdb");
        expect(spawnSync(cdbFromFs.path, [theirs, source]).status).toBe(0);
        expect(compileOurs(source, directory.file("ours.cdb"))).toEqual(readFileSync(theirs));
      }),
      { numRuns: 40 },
    );
  });

  test("s6-accessrules-cdb-from-fs of either suite makes the same file where there are hundreds of rules and variables", () => {
    using directory = new TemporaryDirectory();
    const rules = Array.from({ length: 400 }, (_, uid) => ({
      key: `uid/${uid * 7919}`,
      text: uid % 3 === 0 ? "deny" : `allow A${uid}=x B=y C Z${uid % 5}=z`,
    }));
    const source = writeRules(directory, rules);
    const theirs = directory.file("theirs.cdb");
    expect(spawnSync(cdbFromFs.path, [theirs, source]).status).toBe(0);
    expect(compileOurs(source, directory.file("ours.cdb")).equals(readFileSync(theirs))).toBe(true);
  });
});

describe.skipIf(fsFromCdb.isMissing)(`s6-accessrules-fs-from-cdb${fsFromCdb.why}`, () => {
  test("s6-accessrules-fs-from-cdb of either suite makes the very same files of a database", () => {
    using directory = new TemporaryDirectory();
    fc.assert(
      fc.property(ruleSets, (rules) => {
        fc.pre(rules.every(({ text }) => text !== "neither"));
        const [ours, theirs] = [directory.file("ours"), directory.file("theirs")];
        for (const path of [ours, theirs]) rmSync(path, { recursive: true, force: true });
        const cdb = directory.file("rules.cdb");
        writeFileSync(cdb, cdbBytes(rules.map(({ key, text }) => [key, sampleValue(text)])));
        expect(spawnSync(fsFromCdb.path, [theirs, cdb]).status).toBe(0);
        unpackCdb(cdb, ours, { posix: loadPosix(), warn: () => {} });
        expect(treeOf(ours)).toEqual(treeOf(theirs));
      }),
      { numRuns: 40 },
    );
  });
});

/** Every path below a directory with its mode, and what is in the files. */
function treeOf(directory: string): string[] {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  return paths.map((path) => {
    const file = join(directory, path);
    const { mode } = statSync(file);
    const content = statSync(file).isFile() ? readFileSync(file, "latin1") : "";
    return `${path} ${mode.toString(8)} ${JSON.stringify(content)}`;
  });
}

/** The result of an access program of the C suite: 0 and the variable A, or an exit code. */
function theirAnswer(program: Peer, words: readonly string[], env: Record<string, string>): string {
  const printA = ["/bin/sh", "-c", 'echo "allow ${A-unset}"'];
  const path = `${SUITE ?? ""}:/usr/bin:/bin`;
  const run = spawnSync(program.path, ["-v0", ...words, ...printA], {
    env: { PATH: path, ...env },
  });
  return run.status === 0 ? run.stdout.toString().trim() : run.status === 1 ? "refuse" : "error";
}

/** The same of ours; who finds nothing is refused. */
function ourAnswer(verdict: Verdict): string {
  if (verdict.kind === "error") return "error";
  if (verdict.kind !== "allow") return "refuse";
  return `allow ${verdict.edits.find(({ name }) => name === "A")?.value ?? "unset"}`;
}

describe.skipIf(ipcAccess.isMissing)(`s6-ipcserver-access${ipcAccess.why}`, () => {
  const ids = fc.constantFrom(0, 7, 8, 9);

  test("s6-ipcserver-access answers as we do, from a directory and from a database", () => {
    using directory = new TemporaryDirectory();
    fc.assert(
      fc.property(ruleSets, ids, ids, (rules, uid, gid) => {
        const source = writeRules(directory, rules);
        const cdb = directory.file("ours.cdb");
        compileOurs(source, cdb);
        const peerIds = {
          uid,
          gid,
          serverUid: process.geteuid?.() ?? 0,
          serverGid: process.getegid?.() ?? 0,
        };
        const env = { PROTO: "IPC", IPCREMOTEEUID: `${uid}`, IPCREMOTEEGID: `${gid}` };
        const fromDirectory = theirAnswer(ipcAccess, ["-l", "x", "-i", source], env);
        const live = new DirectoryRules(new NodeFiles(), source);
        expect(ourAnswer(live.checkUidGid(peerIds))).toBe(fromDirectory);
        const fromCdb = theirAnswer(ipcAccess, ["-l", "x", "-x", cdb], env);
        const compiled = new CdbRules(new NodeFiles(), cdb);
        expect(ourAnswer(compiled.checkUidGid(peerIds))).toBe(fromCdb);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    ["X", "deny", "refuse"],
    ["X", "allow", "allow unset"],
    ["A", "allow", "error"],
    ["A\0\0\0\0extra", "allow", "error"],
    ["Dgarbage", "allow", "refuse"],
    ["", "allow", "error"],
  ])("s6-ipcserver-access and ours read the value %j alike", (value, fallback, expected) => {
    using directory = new TemporaryDirectory();
    const bytes = cdbBytes([
      ["uid/7", value],
      ["uid/default", sampleValue(fallback)],
    ]);
    directory.write({ "rules.cdb": bytes });
    const peerIds = { uid: 7, gid: 7, serverUid: 9, serverGid: 9 };
    const env = { PROTO: "IPC", IPCREMOTEEUID: "7", IPCREMOTEEGID: "7" };
    const words = ["-l", "x", "-x", directory.file("rules.cdb")];
    expect(theirAnswer(ipcAccess, words, env)).toBe(expected);
    expect(ourAnswer(new CdbRuleSet(bytes).checkUidGid(peerIds))).toBe(expected);
  });
});

describe.skipIf(tcpAccess.isMissing)(`s6-tcpserver-access${tcpAccess.why}`, () => {
  const environment = {
    PROTO: "TCP",
    TCPREMOTEIP: "192.0.2.1",
    TCPREMOTEPORT: "49152",
    TCPLOCALIP: "192.0.2.2",
    TCPLOCALPORT: "80",
    SSL_PEER_CERT_HASH: `SHA256:${"0a".repeat(32)}`,
    SSL_PEER_CERT_SUBJECT: "CN=a",
  };

  test.each([
    ["ip4/192.0.2.0_24", "deny", "allow unset"],
    ["other/x", "allow", "refuse"],
  ])(
    "s6-tcpserver-access of the C suite looks up no rule for certificates: %s allows, they %s",
    (key, verdict, expected) => {
      using directory = new TemporaryDirectory();
      const certificates = ["@", "none", "subject:CN=a", `sha256:${"0a".repeat(32)}`];
      const source = writeRules(directory, [
        { key, text: "allow" },
        ...certificates.map((name) => ({ key: `clientcert/${name}`, text: verdict })),
      ]);
      const theirs = directory.file("theirs.cdb");
      expect(spawnSync(cdbFromFs.path, [theirs, source]).status).toBe(0);
      for (const words of [
        ["-i", source],
        ["-x", theirs],
      ]) {
        const answer = theirAnswer(tcpAccess, ["-H", "-l", "x", ...words], environment);
        expect(answer).toBe(expected);
      }
      const compiled = new CdbRules(new NodeFiles(), theirs);
      const certificate = { sha256: "0a".repeat(32), alternativeNames: [], subject: "CN=a" };
      for (const client of [certificate, undefined]) {
        expect(compiled.checkClientCertificate(client).kind).toBe(verdict);
      }
    },
  );

  const addresses = fc.constantFrom(
    "10.1.2.3",
    "10.1.2.4",
    "10.2.0.0",
    "192.0.2.1",
    "255.255.255.255",
    "0.0.0.0",
    "2001:db8::1",
    "2001:db8:1::",
    "::",
    "::ffff:1.2.3.4",
    "ffff::",
  );

  test("s6-tcpserver-access of the C suite answers as we do for any address", () => {
    using directory = new TemporaryDirectory();
    fc.assert(
      fc.property(ruleSets, addresses, (rules, ip) => {
        const source = writeRules(directory, rules);
        const cdb = directory.file("ours.cdb");
        compileOurs(source, cdb);
        const env = {
          PROTO: "TCP",
          TCPREMOTEIP: ip,
          TCPREMOTEPORT: "49152",
          TCPLOCALIP: ip,
          TCPLOCALPORT: "80",
        };
        const client = mustParseIp(ip);
        const live = new DirectoryRules(new NodeFiles(), source);
        expect(ourAnswer(live.checkIp(client))).toBe(
          theirAnswer(tcpAccess, ["-H", "-l", "x", "-i", source], env),
        );
        const compiled = new CdbRules(new NodeFiles(), cdb);
        for (let check = 0; check < 20; check += 1) compiled.checkIp(client);
        expect(ourAnswer(compiled.checkIp(client))).toBe(
          theirAnswer(tcpAccess, ["-H", "-l", "x", "-x", cdb], env),
        );
      }),
      { numRuns: 60 },
    );
  });
});
