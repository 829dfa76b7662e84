import { webcrypto } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  CertProblem,
  describeCertificates,
  formatDescription,
  issueServerCertificate,
  makeAuthority,
  parseCertificates,
} from "../../src/cert/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

const clock = new FakeClock(BigInt(Date.UTC(2026, 0, 31, 12)) * 1_000_000n);
const tools = { clock, crypto: webcrypto };
const authority = await makeAuthority(tools);
const { certificates } = await issueServerCertificate(tools, authority, { names: ["localhost"] });

test("a chain with text around it is described in its order", () => {
  const text = `some text\n${certificates}\r\nmore\n${authority.certificates}`;
  const [leaf, root, ...others] = describeCertificates(Buffer.from(text), "test");
  expect([leaf?.subject, root?.subject]).toEqual(["CN=localhost", "CN=ucspi development CA"]);
  expect([leaf?.isAuthority, root?.isAuthority, others.length]).toEqual([false, true, 0]);
});

test("a certificate in DER is described too", () => {
  const [certificate] = parseCertificates(Buffer.from(certificates), "test");
  const [description] = describeCertificates(certificate.raw, "test");
  expect(description?.names).toBe("DNS:localhost");
});

test("a description is lines that a person can read", () => {
  const [description] = describeCertificates(Buffer.from(certificates), "test");
  if (description === undefined) throw new Error("no description");
  const text = formatDescription("x.pem", {
    ...description,
    serial: "01",
    fingerprint: "SHA256:00",
  });
  expect(text).toBe(
    [
      "x.pem",
      "  subject:     CN=localhost",
      "  issuer:      CN=ucspi development CA",
      "  names:       DNS:localhost",
      "  valid:       2026-01-31T11:00:00Z to 2027-03-04T10:59:59Z",
      "  key:         EC P-256",
      "  serial:      01",
      "  fingerprint: SHA256:00",
      "",
    ].join("\n"),
  );
});

test("anything that is not a certificate is refused", () => {
  const [valid] = parseCertificates(Buffer.from(certificates), "test");
  const damaged = fc
    .tuple(fc.nat({ max: valid.raw.length - 1 }), fc.nat({ max: 255 }))
    .map(([at, byte]) => Uint8Array.from(valid.raw, (old, index) => (index === at ? byte : old)));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), damaged), (bytes) => {
      try {
        const [description] = describeCertificates(bytes, "test");
        expect(JSON.stringify(description)).not.toMatch(/\p{C}/u);
      } catch (error) {
        expect(error).toBeInstanceOf(CertProblem);
      }
    }),
  );
});

test("more certificates than a chain has are refused", () => {
  const many = Buffer.from(certificates.repeat(101));
  expect(() => describeCertificates(many, "test")).toThrow(/more than 100/);
});
