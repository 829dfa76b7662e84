/** One list of cases for every backend of rules. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { certificateOf, parseCertificateFact } from "../../../src/access/index.ts";
import { encodeEdits } from "../../../src/net/index.ts";
import { splitBlock } from "../../../src/posix/index.ts";
import { mustParseIp } from "../samples.ts";

import type { CertificateRules, ClientCertificate, Verdict } from "../../../src/access/index.ts";
import type { SampleRule } from "../samples.ts";

/** Run the cases of `test/vectors/access-rules.md`; `open` puts rules into a backend of its own. */
export function rulesConformance(
  backend: string,
  open: (rules: readonly SampleRule[]) => { readonly rules: CertificateRules } & Disposable,
): void {
  describe(`access rules in a ${backend}`, () => {
    for (const { title, rules, client, outcome } of ruleVectors()) {
      test(`a client is looked up by its rules: ${title}`, () => {
        using opened = open(rules);
        expect(describeVerdict(check(opened.rules, client))).toBe(outcome);
      });
    }

    test("many checks in a row answer as the first one does", () => {
      using opened = open([
        { key: "ip4/10.0.0.0_8", text: "allow A=b" },
        { key: "ip4/10.1.0.0_16", text: "deny" },
        { key: "ip6/::_0", text: "deny" },
      ]);
      for (let round = 0; round < 100; round += 1) {
        expect(describeVerdict(check(opened.rules, "ip 10.9.9.9"))).toBe(
          "allow ip4/10.0.0.0_8 A=b",
        );
        expect(describeVerdict(check(opened.rules, "ip 10.1.9.9"))).toBe("deny ip4/10.1.0.0_16");
        expect(describeVerdict(check(opened.rules, "ip 11.0.0.1"))).toBe("notFound");
        expect(describeVerdict(check(opened.rules, "ip ::1"))).toBe("deny ip6/::_0");
      }
    });
  });
}

interface RuleVector {
  readonly title: string;
  readonly rules: readonly SampleRule[];
  readonly client: string;
  readonly outcome: string;
}

function ruleVectors(): RuleVector[] {
  const file = new URL("../../vectors/access-rules.md", import.meta.url);
  const rows = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return rows.map((row) => {
    const [title = "", rules = "", client = "", outcome = ""] = row
      .split(" | ")
      .map((cell) => cell.replace(/^\| /, "").replace(/ \|$/, "").slice(1, -1));
    return { title, rules: parseRules(rules), client, outcome };
  });
}

function parseRules(text: string): SampleRule[] {
  if (text === "") return [];
  return text.split("; ").map((rule) => {
    const space = rule.indexOf(" ");
    return { key: rule.slice(0, space), text: rule.slice(space + 1) };
  });
}

function check(rules: CertificateRules, client: string): Verdict {
  const [kind, ...facts] = client.split(" ");
  const [who = ""] = facts;
  if (kind === "ip") return rules.checkIp(mustParseIp(who));
  if (kind === "name") return rules.checkReverseDns(who);
  if (kind === "cert") return rules.checkClientCertificate(parseCertificate(facts));
  const [uid = 0, gid = 0, serverUid = 0, serverGid = 0] = who.split(/[:@]/).map(Number);
  return rules.checkUidGid({ uid, gid, serverUid, serverGid });
}

function parseCertificate(facts: readonly string[]): ClientCertificate | undefined {
  if (facts[0] === "none") return undefined;
  return certificateOf(
    facts.map((text) => {
      const fact = parseCertificateFact(text);
      if (fact === undefined) throw new TypeError(`Nothing of a certificate: ${text}`);
      return fact;
    }),
  );
}

function describeVerdict(verdict: Verdict): string {
  if (verdict.kind === "notFound" || verdict.kind === "error") return verdict.kind;
  if (verdict.kind === "deny") return `deny ${verdict.rule}`;
  return ["allow", verdict.rule, ...splitBlock(encodeEdits(verdict.edits))].join(" ");
}
