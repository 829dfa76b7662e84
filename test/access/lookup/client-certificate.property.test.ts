import fc from "fast-check";
import { expect, test } from "vitest";
import {
  alternativeNameKeys,
  ANY_CERTIFICATE_KEY,
  certificateKey,
  NO_CERTIFICATE_KEY,
  parseCertificateFact,
} from "../../../src/access/lookup/client-certificate.ts";
import { CdbRuleSet } from "../../../src/access/index.ts";
import { lintKey } from "../../../src/access/lint/key.ts";
import { encodeBytes } from "../../../src/posix/index.ts";
import { cdbBytes, sampleValue } from "../samples.ts";

import type { AlternativeName } from "../../../src/net/index.ts";
import type { CertificateFact, ClientCertificate } from "../../../src/access/index.ts";

/** Texts with which a certificate might be taken for something else. */
const part = fc.oneof(
  fc.constantFrom("/", "..", ".", "%", "%2F", "\0", "\n", "\u0085", "@", "none", ":", "dns:"),
  fc.constantFrom("clientcert/", "ip4/0.0.0.0_0", "é", "\udcc3", "\udca9", "\ud800", "\u212a"),
  fc.constantFrom("192.0.2.1", "::1", "a".repeat(64), "*.", "Joe@A.Example", "<invalid>"),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "binary", maxLength: 4 }),
  fc.string({ minLength: 100, maxLength: 300 }),
);
const value = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(""));
const nameKind = fc.constantFrom<AlternativeName["kind"]>("dns", "email", "uri", "ip");
const name = fc.record({ kind: nameKind, value });
const kind = fc.oneof(nameKind, fc.constantFrom<CertificateFact["kind"]>("sha256", "subject"));
const fact: fc.Arbitrary<CertificateFact> = fc.record({ kind, value });

test("a key is one file name behind its kind and its type, whatever a certificate contains", () => {
  fc.assert(
    fc.property(fact, (one) => {
      const key = certificateKey(one);
      if (key === undefined) return;
      const head = `clientcert/${one.kind}:`;
      expect(key.startsWith(head)).toBe(true);
      expect(key.slice(head.length)).toMatch(/^[^/\p{Cc}]+$/u);
      expect(encodeBytes(key).length).toBeLessThanOrEqual("clientcert/".length + 255);
      expect([NO_CERTIFICATE_KEY, ANY_CERTIFICATE_KEY]).not.toContain(key);
    }),
    { numRuns: 2000 },
  );
});

test("no two values share the bytes of a key, but for what counts as the same", () => {
  const same = (one: CertificateFact) =>
    one.kind === "uri" || one.kind === "subject" ? one.value : undefined;
  fc.assert(
    fc.property(fact, fact, (one, other) => {
      const [key, otherKey] = [certificateKey(one), certificateKey(other)];
      if (key === undefined || otherKey === undefined) return;
      if (!encodeBytes(key).equals(encodeBytes(otherKey))) return;
      expect(one.kind).toBe(other.kind);
      expect(same(one)).toBe(same(other));
    }),
    { numRuns: 5000 },
  );
});

test("the byte of no UTF-8 and the letter it would be part of do not share a key", () => {
  expect(certificateKey({ kind: "uri", value: "é" })).toBe("clientcert/uri:é");
  expect(certificateKey({ kind: "uri", value: "\udcc3\udca9" })).toBeUndefined();
  expect(certificateKey({ kind: "uri", value: "\ud800" })).toBeUndefined();
  expect(certificateKey({ kind: "uri", value: "\udcff" })).toBe("clientcert/uri:\udcff");
});

test("a key gives back the value it was made of, and no key is reported as invalid", () => {
  fc.assert(
    fc.property(fact, (one) => {
      const key = certificateKey(one);
      if (key === undefined) return;
      const parsed = parseCertificateFact(key.slice("clientcert/".length));
      expect(parsed && certificateKey(parsed)).toBe(key);
      expect(lintKey(key)?.severity ?? "note").toBe("note");
    }),
    { numRuns: 2000 },
  );
});

test("any text is a fact of the type in front of it, or is refused", () => {
  const texts = fc.tuple(fc.oneof(kind, part), fc.constantFrom(":", ""), value);
  fc.assert(
    fc.property(texts, (parts) => {
      const text = parts.join("");
      const parsed = parseCertificateFact(text);
      if (parsed !== undefined) expect(text.startsWith(`${parsed.kind}:`)).toBe(true);
    }),
  );
});

test("names are looked up in one order, whichever order they are given in", () => {
  const verdicts = fc.constantFrom("allow", "deny", "neither");
  const ruled = fc.array(fc.tuple(name, verdicts), { maxLength: 8 });
  const shuffled = ruled.chain((rules) =>
    fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
  );
  fc.assert(
    fc.property(shuffled, ([rules, reordered]) => {
      const records = rules.flatMap(([one, text]) =>
        [...alternativeNameKeys([one])].map(
          (key) => [encodeBytes(key), sampleValue(text)] as const,
        ),
      );
      const set = new CdbRuleSet(cdbBytes(records));
      const [verdict, other] = [rules, reordered].map(
        (order) =>
          set.checkClientCertificate({
            sha256: "0".repeat(64),
            alternativeNames: order.map(([one]) => one),
            subject: undefined,
          }).kind,
      );
      expect(verdict).toBe(other);
    }),
  );
});

/** The order of the ranks, as docs/formats/access-rules.md has it, without keys and without a backend. */
function expectedVerdict(
  rules: ReadonlyMap<string, Ruled>,
  { sha256, alternativeNames, subject }: ClientCertificate,
): string {
  const decisive = (name: string) => [rules.get(name)].filter((one) => one && one !== "neither");
  const [byFingerprint] = decisive(`sha256:${sha256}`);
  if (byFingerprint !== undefined) return byFingerprint;
  if (alternativeNames === undefined) return "error";
  const byName = alternativeNames.flatMap(({ kind: type, value: text }) =>
    decisive(`${type}:${text}`),
  );
  if (byName.includes("deny")) return "deny";
  return byName[0] ?? decisive(`subject:${subject}`)[0] ?? decisive("@")[0] ?? "notFound";
}

type Ruled = "allow" | "deny" | "neither";

test("what decides is the fingerprint, then a name that denies, one that allows, the subject, any certificate", () => {
  const sha256 = fc.constantFrom("0".repeat(64), "1".repeat(64));
  const known = fc.constantFrom<AlternativeName>(
    { kind: "dns", value: "a.example" },
    { kind: "dns", value: "*.example" },
    { kind: "email", value: "a@b" },
    { kind: "uri", value: "a:b" },
    { kind: "ip", value: "::1" },
  );
  const ruleName = fc.oneof(
    sha256.map((digits) => `sha256:${digits}`),
    known.map(({ kind: type, value: text }) => `${type}:${text}`),
    fc.constantFrom("subject:CN=a", "@", "none"),
  );
  const ruled = fc.constantFrom<Ruled>("allow", "deny", "neither");
  const rules = fc.array(fc.tuple(ruleName, ruled), { maxLength: 6 }).map((all) => new Map(all));
  const client = fc.record<ClientCertificate>({
    sha256,
    alternativeNames: fc.option(fc.array(known, { maxLength: 4 }), { nil: undefined }),
    subject: fc.constantFrom("CN=a", undefined),
  });
  fc.assert(
    fc.property(rules, client, (some, certificate) => {
      const records = Array.from(
        some,
        ([name, verdict]) => [`clientcert/${name}`, sampleValue(verdict)] as const,
      );
      const verdict = new CdbRuleSet(cdbBytes(records)).checkClientCertificate(certificate);
      expect(verdict.kind).toBe(expectedVerdict(some, certificate));
    }),
    { numRuns: 1000 },
  );
});
