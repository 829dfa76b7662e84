import { webcrypto, X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  CertProblem,
  describeCertificates,
  issueClientCertificate,
  issueServerCertificate,
  KEY_TYPES,
  makeAuthority,
  serverNamesOf,
} from "../../src/cert/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

import type { CertifiedKey } from "../../src/cert/index.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 500);
const DAY_MS = 86_400_000;

function toolsAt(ms: number) {
  return { clock: new FakeClock(BigInt(ms) * 1_000_000n), crypto: webcrypto };
}

const tools = toolsAt(NOW_MS);

function first({ certificates }: CertifiedKey) {
  const [description] = describeCertificates(Buffer.from(certificates), "test");
  return { x509: new X509Certificate(certificates), ...description };
}

describe("an authority", () => {
  test("an authority signs its own certificate, valid from an hour ago, for ten years", async () => {
    const { x509, ...facts } = first(await makeAuthority(tools, { name: "Ö, CN=x #1" }));
    expect(x509.ca && x509.verify(x509.publicKey)).toBe(true);
    expect(facts.subject).toBe("CN=Ö\\, CN\\=x #1".replace("\\=", "="));
    expect(facts.notBefore).toEqual(new Date("2026-01-31T11:00:00Z"));
    expect(facts.notAfter).toEqual(new Date(Date.UTC(2026, 0, 31, 10, 59, 59) + 3650 * DAY_MS));
    expect(facts.serial).toMatch(/^[4-7][0-9a-f]{39}$/);
  });

  test.each(KEY_TYPES)(
    "an authority with a key of type %s signs for one of the same type",
    async (keyType) => {
      const authority = await makeAuthority(tools, { keyType });
      const options = { keyType, names: ["example.org"] };
      const { x509 } = first(await issueServerCertificate(tools, authority, options));
      expect(x509.verify(first(authority).x509.publicKey)).toBe(true);
      expect(x509.checkIssued(first(authority).x509)).toBe(true);
    },
  );

  test.each([0, -1, 1.5, 36_501, Number.NaN])(
    "an authority cannot be valid for %d days",
    async (days) => {
      await expect(makeAuthority(tools, { days })).rejects.toThrow(CertProblem);
    },
  );

  test.each(["", "a\nb", "x".repeat(65)])("an authority cannot be called %j", async (name) => {
    await expect(makeAuthority(tools, { name })).rejects.toThrow(/^not a common name/);
  });

  test("an authority that is not one, or lacks its key, or has expired, signs nothing", async () => {
    const names = ["localhost"];
    const authority = await makeAuthority(tools, { days: 30 });
    const other = await makeAuthority(tools);
    const leaf = await issueServerCertificate(tools, authority, { names });
    const attempts = [
      issueServerCertificate(tools, leaf, { names }),
      issueServerCertificate(tools, { ...authority, key: other.key }, { names }),
      issueServerCertificate(toolsAt(NOW_MS + 30 * DAY_MS), authority, { names }),
    ];
    await expect(attempts[0]).rejects.toThrow(/not an authority's$/);
    await expect(attempts[1]).rejects.toThrow(/does not belong/);
    await expect(attempts[2]).rejects.toThrow(/expired/);
  });
});

describe("a server's certificate", () => {
  test("a server's certificate is for its names, 397 days, and no other purpose", async () => {
    const authority = await makeAuthority(tools);
    const names = ["localhost", "*.example.org", "LOCALHOST", "192.0.2.1", "::1"];
    const issued = await issueServerCertificate(tools, authority, { names });
    const { x509, ...facts } = first(issued);
    expect(facts.subject).toBe("CN=localhost");
    expect(await serverNamesOf(issued.certificates)).toEqual([
      "localhost",
      "*.example.org",
      "192.0.2.1",
      "::1",
    ]);
    expect(x509.checkHost("www.example.org") && x509.checkIP("::1")).toBeTruthy();
    expect(x509.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]); // Node's name for extended key usage
    expect(Number(facts.notAfter) - Number(facts.notBefore)).toBe(397 * DAY_MS - 1000);
  });

  test("a server's certificate has no common name if none fits", async () => {
    const authority = await makeAuthority(tools);
    const names = [`${"a".repeat(60)}.example.org`];
    const { subject, names: written } = first(
      await issueServerCertificate(tools, authority, { names }),
    );
    expect([subject, written]).toEqual(["", `DNS:${names[0]}`]);
  });

  test("a server's certificate ends with its authority", async () => {
    const authority = await makeAuthority(tools, { days: 10 });
    const { notAfter } = first(await issueServerCertificate(tools, authority, { names: ["a"] }));
    expect(notAfter).toEqual(first(authority).notAfter);
  });

  test("a server's certificate keeps a key that is given", async () => {
    const authority = await makeAuthority(tools);
    const old = await issueServerCertificate(tools, authority, { names: ["a"] });
    const renewed = await issueServerCertificate(tools, authority, { names: ["a"], key: old.key });
    expect(renewed.key).toBe(old.key);
    expect(first(renewed).serial).not.toBe(first(old).serial);
  });

  test.each([[[]], [["a b"]], [Array.from({ length: 101 }, (_, n) => `n${n}`)]])(
    "a server's certificate is not made for %j",
    async (names) => {
      const authority = await makeAuthority(tools);
      await expect(issueServerCertificate(tools, authority, { names })).rejects.toThrow(
        CertProblem,
      );
    },
  );
});

test("a client's certificate has its name, and is for clients", async () => {
  const authority = await makeAuthority(tools);
  const name = "alice@example.org";
  const { x509, ...facts } = first(await issueClientCertificate(tools, authority, { name }));
  expect([facts.subject, facts.names]).toEqual([`CN=${name}`, `email:${name}`]);
  expect(x509.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(facts.fingerprint).toMatch(/^SHA256:[0-9a-f]{64}$/);
});
