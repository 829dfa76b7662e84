import { describe, expect, test } from "vitest";
import {
  certificateKey,
  parseCertificateFact,
} from "../../../src/access/lookup/client-certificate.ts";
import { CdbRules, CdbRuleSet, DirectoryRules } from "../../../src/access/index.ts";
import { cdbBytes, NodeFiles, sampleValue, TemporaryDirectory } from "../samples.ts";

import type { AlternativeName } from "../../../src/net/index.ts";
import type { CertificateFact, ClientCertificate } from "../../../src/access/index.ts";

const SHA256 = "0123456789abcdef".repeat(4);

function certificate(more: Partial<ClientCertificate> = {}): ClientCertificate {
  return { sha256: SHA256, alternativeNames: [], subject: undefined, ...more };
}

function dnsNames(count: number, bytes = 0): AlternativeName[] {
  return Array.from({ length: count }, (_, at) => ({
    kind: "dns",
    value: `n${at}.example`.padStart(bytes, "n"),
  }));
}

test.each<[CertificateFact["kind"], string, string | undefined]>([
  ["sha256", SHA256, `sha256:${SHA256}`],
  ["sha256", SHA256.toUpperCase().replaceAll(/(..)(?!$)/g, "$1:"), `sha256:${SHA256}`],
  ["sha256", SHA256.slice(1), undefined],
  ["sha256", `${SHA256.slice(1)}g`, undefined],
  ["dns", "*.Example.ORG", "dns:*.example.org"],
  ["dns", "\u212aelvin.example", "dns:\u212aelvin.example"],
  ["dns", "Host.Example.", "dns:host.example"],
  ["dns", "*.example.", "dns:*.example"],
  ["dns", ".a/../b", undefined],
  ["dns", "a/b", "dns:a%2Fb"],
  ["dns", "a..", undefined],
  ["dns", ".", undefined],
  ["email", "Joe@Example.ORG.", "email:Joe@example.org"],
  ["email", "joe@", undefined],
  ["dns", "a\0b\n\u007f\u0085", "dns:a%00b%0A%7F%C2%85"],
  ["dns", "", undefined],
  ["email", "Joe@Big@Example.ORG", "email:Joe@Big@example.org"],
  ["email", "Joe", "email:Joe"],
  ["uri", "https://A.example/%41", "uri:https:%2F%2FA.example%2F%2541"],
  ["ip", "192.0.2.1", "ip:192.0.2.1"],
  ["ip", "2001:DB8:0:0::1", "ip:2001:db8::1"],
  ["ip", "192.0.2.1/24", undefined],
  ["subject", "C=US, O=A\\,B, CN=Jürgen", "subject:C=US, O=A\\,B, CN=Jürgen"],
  ["subject", "<invalid>", undefined],
  ["uri", "x".repeat(251), `uri:${"x".repeat(251)}`],
  ["uri", "x".repeat(252), undefined],
  ["uri", "ü".repeat(126), undefined],
  ["uri", "/".repeat(84), undefined],
])("the key of %s %j is as the page of the format has it", (kind, value, name) => {
  expect(certificateKey({ kind, value })).toBe(name && `clientcert/${name}`);
});

test.each<[string, CertificateFact | undefined]>([
  ["dns:a.example", { kind: "dns", value: "a.example" }],
  ["uri:spiffe://a%2fb%C3%A9%ff", { kind: "uri", value: "spiffe://a/bé\udcff" }],
  ["subject:", { kind: "subject", value: "" }],
  ["uri:100%", undefined],
  ["uri:%2", undefined],
  ["name:x", undefined],
  ["toString:x", undefined],
  ["dns", undefined],
  ["", undefined],
])("the facts of %j are those it states", (text, fact) => {
  expect(parseCertificateFact(text)).toEqual(fact);
});

describe("a certificate", () => {
  const rules = new CdbRuleSet(
    cdbBytes([
      ["clientcert/dns:n127.example", sampleValue("allow")],
      ["clientcert/dns:n0.example", "A"],
      [`clientcert/sha256:${"f".repeat(64)}`, sampleValue("allow")],
      [`clientcert/sha256:${"e".repeat(64)}`, sampleValue("deny")],
      ["clientcert/subject:O=A, CN=b c", sampleValue("allow")],
      ["clientcert/@", sampleValue("allow A=any")],
    ]),
  );

  test("a certificate is looked up with the last of its alternative names", () => {
    const alternativeNames = dnsNames(128).slice(28);
    expect(rules.checkClientCertificate(certificate({ alternativeNames }))).toMatchObject({
      kind: "allow",
      rule: "clientcert/dns:n127.example",
    });
  });

  test.each([
    ["100 names of 24 bytes", dnsNames(100, 24), "are longer than 2048 bytes"],
    ["unknown names", undefined, "cannot be read, or are longer than 2048 bytes"],
  ])(
    "a certificate with %s is an error, as a denied one might be among them, unless the fingerprint decides",
    (_, alternativeNames, why) => {
      expect(rules.checkClientCertificate(certificate({ alternativeNames }))).toEqual({
        kind: "error",
        why: `its alternative names ${why}`,
        code: undefined,
        rule: undefined,
      });
      const [known, lost] = ["f", "e"].map((digit) =>
        rules.checkClientCertificate(certificate({ alternativeNames, sha256: digit.repeat(64) })),
      );
      expect([known?.kind, lost?.kind]).toEqual(["allow", "deny"]);
    },
  );

  test("a certificate without a fingerprint is an error", () => {
    expect(rules.checkClientCertificate(certificate({ sha256: "" }))).toMatchObject({
      kind: "error",
      rule: undefined,
    });
  });

  test("a certificate is refused by a name whose rule cannot be read, though another name allows", () => {
    const alternativeNames = [...dnsNames(128).slice(127), ...dnsNames(1)];
    expect(rules.checkClientCertificate(certificate({ alternativeNames }))).toMatchObject({
      kind: "error",
      rule: "clientcert/dns:n0.example",
    });
  });

  test("a certificate may have blanks in its subject", () => {
    expect(rules.checkClientCertificate(certificate({ subject: "O=A, CN=b c" }))).toMatchObject({
      rule: "clientcert/subject:O=A, CN=b c",
    });
  });

  test("a certificate without a subject, or with one that has no key, is any certificate", () => {
    for (const subject of [undefined, "", "<invalid>", "x".repeat(300)]) {
      expect(rules.checkClientCertificate(certificate({ subject }))).toMatchObject({
        rule: "clientcert/@",
      });
    }
  });
});

test("names too long for a file are no error to a directory", () => {
  using directory = new TemporaryDirectory();
  directory.write({ "clientcert/@/allow": "" });
  const rules = new DirectoryRules(new NodeFiles(), directory.path);
  const alternativeNames = [{ kind: "uri", value: "x".repeat(2000) }] as const;
  expect(rules.checkClientCertificate(certificate({ alternativeNames }))).toMatchObject({
    kind: "allow",
    rule: "clientcert/@",
  });
});

test("every certificate is an error while the file of rules is missing, and so is none", () => {
  using directory = new TemporaryDirectory();
  const rules = new CdbRules(new NodeFiles(), directory.file("rules.cdb"));
  for (const client of [certificate(), undefined]) {
    expect(rules.checkClientCertificate(client)).toMatchObject({ kind: "error", code: "ENOENT" });
  }
});
