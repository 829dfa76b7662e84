import { webcrypto, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import forge from "node-forge";
import { describe, expect, test } from "vitest";
import {
  CertProblem,
  importPkcs12,
  issueServerCertificate,
  makeAuthority,
  PKCS12_BYTES_MAX,
  PKCS12_ITERATIONS_MAX,
} from "../../src/cert/index.ts";
import { systemClock } from "../../src/clock/index.ts";
import { ROOT } from "../support/scene.ts";

/**
 * Made by certtool of GnuTLS: an RSA key, its certificate and the authority's, in RC2 with 40 bits and
 * 600,000 iterations each.
 */
const GNUTLS = readFileSync(join(ROOT, "test", "fixtures", "cert", "gnutls-rc2-40.p12"));

const tools = { clock: systemClock, crypto: webcrypto };
const authority = await makeAuthority(tools, { keyType: "rsa2048" });
const server = await issueServerCertificate(tools, authority, {
  names: ["example.org"],
  keyType: "rsa2048",
});

interface Encryption {
  readonly algorithm?: "3des" | "aes128" | "aes256";
  readonly count?: number;
}

/** A file of forge's own. */
function pkcs12(passphrase: string, { algorithm = "3des", count = 2 }: Encryption = {}): Buffer {
  const key = forge.pki.privateKeyFromPem(server.key);
  const chain = forge.pki.certificateFromPem(server.certificates);
  const pfx = forge.pkcs12.toPkcs12Asn1(key, chain, passphrase, { algorithm, count });
  return Buffer.from(forge.asn1.toDer(pfx).getBytes(), "latin1");
}

/** The file with its counts of 0x010101 replaced by another of three bytes. */
function withIterations(bytes: Buffer, count: number): Buffer {
  const hex = bytes
    .toString("hex")
    .replaceAll("0203010101", `0203${count.toString(16).padStart(6, "0")}`);
  return Buffer.from(hex, "hex");
}

/** The file with its content, changed by `edit`, in two pieces, as BER allows. */
function inPieces(bytes: Buffer, edit: (content: Buffer) => Buffer): Buffer {
  const pfx = forge.asn1.fromDer(bytes.toString("latin1"));
  const { create, Class, Type } = forge.asn1;
  const holder = [1, 1].reduce(childAt, pfx);
  const { value: content } = childAt(holder, 0);
  if (typeof content !== "string") throw new Error("in pieces already");
  const edited = edit(Buffer.from(content, "latin1")).toString("latin1");
  const pieces = [edited.slice(0, 40), edited.slice(40)].map((piece) => {
    return create(Class.UNIVERSAL, Type.OCTETSTRING, false, piece);
  });
  holder.value = [create(Class.UNIVERSAL, Type.OCTETSTRING, true, pieces)];
  return Buffer.from(forge.asn1.toDer(pfx).getBytes(), "latin1");
}

function childAt({ value }: forge.asn1.Asn1, index: number): forge.asn1.Asn1 {
  const child = typeof value === "string" ? undefined : value[index];
  if (child === undefined) throw new Error("not the structure of a PKCS #12 file");
  return child;
}

describe("a PKCS #12 file", () => {
  test("a PKCS #12 file of another tool, in RC2, gives its key and the chain, leaf first", async () => {
    const { certificates, key, othersCount } = await importPkcs12(GNUTLS, "swordfish", "x.p12");
    const [leaf, root, ...others] = certificates.split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(new X509Certificate(leaf ?? "").subject).toBe("CN=example.org");
    expect(new X509Certificate(root ?? "").ca).toBe(true);
    expect([others.length, othersCount]).toEqual([0, 0]);
    expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  }, 60_000);

  test.each(["3des", "aes128", "aes256"] as const)(
    "a PKCS #12 file in %s gives the key and the chain that it was made of",
    async (algorithm) => {
      const content = await importPkcs12(pkcs12("geheim", { algorithm }), "geheim", "x.p12");
      expect(content).toEqual({ ...server, othersCount: 0 });
    },
  );

  test("a PKCS #12 file takes a passphrase of any letters, and none, with the old ciphers", async () => {
    for (const passphrase of ["", "geheiß"]) {
      expect((await importPkcs12(pkcs12(passphrase), passphrase, "x.p12")).key).toBe(server.key);
    }
  });

  test("a PKCS #12 file is refused with the wrong passphrase", async () => {
    const wrong = importPkcs12(pkcs12("geheim"), "Geheim", "x.p12");
    await expect(wrong).rejects.toThrow(/^unable to open x\.p12: wrong passphrase/);
  });

  test("a PKCS #12 file is refused if it is too long, or asks for too much work", async () => {
    const long = importPkcs12(new Uint8Array(PKCS12_BYTES_MAX + 1), "", "x.p12");
    await expect(long).rejects.toThrow(/longer than/);
    const slow = withIterations(pkcs12("x", { count: 0x10101 }), PKCS12_ITERATIONS_MAX + 1);
    await expect(importPkcs12(slow, "x", "x.p12")).rejects.toThrow(/iterations/);
  });

  test("a PKCS #12 file may be in pieces, which hide no count", async () => {
    const pieces = inPieces(pkcs12("x"), (content) => content);
    expect((await importPkcs12(pieces, "x", "x.p12")).key).toBe(server.key);
    const slow = inPieces(pkcs12("x", { count: 0x10101 }), (content) => {
      return withIterations(content, PKCS12_ITERATIONS_MAX + 1);
    });
    await expect(importPkcs12(slow, "x", "x.p12")).rejects.toThrow(/iterations/);
  });

  test("a PKCS #12 file that is damaged or cut short is refused, in one printable line", async () => {
    const whole = pkcs12("swordfish");
    const place = fc.nat({ max: whole.length - 1 });
    await fc.assert(
      fc.asyncProperty(place, fc.nat({ max: 255 }), fc.boolean(), async (at, byte, cuts) => {
        const bytes = Buffer.from(cuts ? whole.subarray(0, at) : whole);
        if (!cuts) bytes[at] = byte;
        const problem = await importPkcs12(bytes, "swordfish", "x.p12").catch(
          (error: unknown) => error,
        );
        if (!(problem instanceof CertProblem)) expect(problem).toHaveProperty("key");
        else expect(problem.message).toMatch(/^[^\p{C}]+$/u);
      }),
      { numRuns: 200 },
    );
  });
});
