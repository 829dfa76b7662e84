import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isCertificateFor,
  parseServerIdentity,
} from "../../../src/tls/handshake/server-identity.ts";
import { der, newSelfSigned } from "../../support/certificates.ts";
import type { CertificateOptions } from "../../support/certificates.ts";

type Name = string | { readonly tag: number; readonly content: Uint8Array };

/** As much of a certificate as is read: its alternative names. */
function certificateOf(...names: readonly Name[]): Buffer {
  const list = names.map((name) =>
    typeof name === "string" ? dnsName(name) : der(name.tag, name.content),
  );
  return withExtensions(extension("551d11", der(0x30, ...list)));
}

function dnsName(name: string): Buffer {
  return der(0x82, Buffer.from(name, "latin1"));
}

function ip(...bytes: readonly number[]): Name {
  return { tag: 0x87, content: Uint8Array.from(bytes) };
}

function extension(oid: string, value: Uint8Array): Buffer {
  return der(0x30, der(0x06, Buffer.from(oid, "hex")), der(0x04, value));
}

function withExtensions(...extensions: readonly Uint8Array[]): Buffer {
  const fields = Array.from({ length: 6 }, () => der(0x30));
  return der(0x30, der(0x30, ...fields, der(0xa3, der(0x30, ...extensions))));
}

function isFor(server: string, ...names: readonly Name[]): boolean | undefined {
  const identity = parseServerIdentity(server);
  return identity && isCertificateFor(identity, certificateOf(...names));
}

describe("a certificate is for a server", () => {
  test.each<[string, Name]>([
    ["localhost", "localhost"],
    ["a.example.com", "a.example.com"],
    ["A.Example.COM", "a.eXample.com"],
    ["a.example.com.", "a.example.com"],
    ["a.example.com", "a.example.com."],
    ["a.example.com.", "*.example.com."],
    ["a.example.com", "*.example.com"],
    ["A.EXAMPLE.COM", "*.example.com"],
    ["b.a.example.com", "*.a.example.com"],
    ["a.co.uk", "*.co.uk"],
    ["xn--bcher-kva.example.com", "*.example.com"],
    ["xn--bcher-kva.example", "XN--bcher-kva.example"],
    ["_sip.example.com", "_sip.example.com"],
    ["my_db.example.com", "*.example.com"],
    ["192.0.2.1", ip(192, 0, 2, 1)],
    ["192.0.2.1.", ip(192, 0, 2, 1)],
    ["::1", ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
    ["0:0::0:1", ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
  ])("a certificate is for the server %s by the name %j", (server, name) => {
    expect(isFor(server, name)).toBe(true);
    expect(isFor(server, "other.example", name, "another.example")).toBe(true);
  });

  test.each<[string, Name]>([
    ["example.com", "*.example.com"],
    ["b.a.example.com", "*.example.com"],
    ["bar.example.com", "ba*.example.com"],
    ["bar.example.com", "*ar.example.com"],
    ["bar.example.com", "b*r.example.com"],
    ["bar.example.com", "**.example.com"],
    ["a.b.example.com", "a.*.example.com"],
    ["a.b.example.com", "*.*.example.com"],
    ["a.example.com", "*.*.com"],
    ["xn--bcher-kva.example.com", "xn--*.example.com"],
    ["nas.lan", "*.lan"],
    ["example.com", "*.com"],
    ["example.com", "*.com."],
    ["localhost", "*"],
    ["example.com", "*"],
    ["example.com", "*."],
    ["a.example.com", ".example.com"],
    ["example.com", ".example.com"],
    ["a.example.com", "example.com"],
    ["example.com", "example.com.."],
    ["a.example.com", "*.example.com\0"],
    ["a.example.com", "a.example.com\0.evil.example"],
    ["a.example.com", "a.example.com "],
    ["kelvin.example", "\u00c4elvin.example"],
    ["a.example.com", { tag: 0x86, content: Buffer.from("a.example.com") }],
    ["a.example.com", { tag: 0x81, content: Buffer.from("a.example.com") }],
    ["a.example.com", { tag: 0xa2, content: Buffer.from("a.example.com") }],
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1", "*.0.2.1"],
    ["192.0.2.1", "\u00c0\0\u0002\u0001"],
    ["192.0.2.1", { tag: 0x86, content: Buffer.from("https://192.0.2.1/") }],
    ["192.0.2.1", ip(192, 0, 2)],
    ["192.0.2.1", ip(192, 0, 2, 1, 0)],
    ["192.0.2.1", ip(192, 0, 2, 0, 255, 255, 255, 0)],
    ["192.0.2.1", ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1)],
    ["::ffff:192.0.2.1", ip(192, 0, 2, 1)],
    ["::1", "::1"],
    ["a.example.com", ip(...Buffer.from("a.example.com"))],
    ["abcd", ip(...Buffer.from("abcd"))],
  ])("a certificate is not for the server %s by the name %j", (server, name) => {
    expect(isFor(server, name)).toBe(false);
    expect(isFor(server, name, "other.example")).toBe(false);
  });

  test.each([
    ["two lists of names", [nameList("a.example.com"), nameList("a.example.com")]],
    ["a list that is cut", [extension("551d11", nameDer("a.example.com").subarray(0, -1))]],
    [
      "something behind the list",
      [extension("551d11", Buffer.concat([nameDer("a.example.com"), der(5)]))],
    ],
    ["no list", [extension("551d11", dnsName("a.example.com"))]],
    ["no extension", []],
    ["the names of its issuer", [extension("551d12", nameDer("a.example.com"))]],
  ])("a certificate with %s is for no server", (_, extensions) => {
    const server = parseServerIdentity("a.example.com");
    const certificate = withExtensions(...extensions);
    expect(server && isCertificateFor(server, certificate)).toBe(false);
  });
});

describe("the common name of a certificate", () => {
  const [HOST, COMMON_NAME] = ["foo.example.com", "2.5.4.3"];
  test.each<[string, CertificateOptions, boolean]>([
    ["counts without alternative names", { subject: HOST }, true],
    ["counts in capitals", { subject: "FOO.Example.com" }, true],
    ["counts as a wildcard", { subject: "*.example.com" }, true],
    ["does not count beside another name", { subject: HOST, names: ["dns:a.example"] }, false],
    ["does not count beside an address", { subject: HOST, names: ["ip:192.0.2.1"] }, false],
    ["does not count beside an email", { subject: HOST, names: ["email:me@a.example"] }, false],
    ["does not count beside a URI", { subject: HOST, names: ["uri:http://a.example"] }, false],
    ["does not count as a partial wildcard", { subject: "fo*.example.com" }, false],
    ["does not count with a NUL behind it", { subject: `${HOST}\0.evil.example` }, false],
    [
      "does not count in two bytes a letter",
      {
        subject: [{ type: COMMON_NAME, tag: 0x1e, value: Buffer.from(HOST, "utf16le").swap16() }],
      },
      false,
    ],
    [
      "does not count with a second one",
      { subject: ["other.example", HOST].map((value) => ({ type: COMMON_NAME, value })) },
      false,
    ],
  ])("the common name of a certificate %s", (_, options, isIt) => {
    const server = parseServerIdentity(HOST);
    expect(server && isCertificateFor(server, newSelfSigned(options).der)).toBe(isIt);
  });

  test("the common name of a certificate is for no address", () => {
    const server = parseServerIdentity("192.0.2.1");
    const certificate = newSelfSigned({ subject: "192.0.2.1" });
    expect(server && isCertificateFor(server, certificate.der)).toBe(false);
  });
});

function nameDer(name: string): Buffer {
  return der(0x30, dnsName(name));
}

function nameList(name: string): Buffer {
  return extension("551d11", nameDer(name));
}

describe("the identity of a server", () => {
  test.each([
    "",
    ".",
    "..",
    "a..example",
    ".example.com",
    "a.example..",
    "*.example.com",
    "*",
    "a b.example",
    "a.example\0",
    "bücher.example",
    "\u212aelvin.example",
    "a/b.example",
    "[::1]",
    "fe80::1%eth0",
    "127.1",
    "1",
    "0x7f.0x1",
    "1.2.3.4.5",
    "a.123",
    `${"a".repeat(64)}.example`,
    `${"a.".repeat(127)}a`,
  ])("the identity of a server is not %j", (text) => {
    expect(parseServerIdentity(text)).toBeUndefined();
  });

  test("the identity of a server is a name of 253 characters at most, and a dot", () => {
    expect(parseServerIdentity("a.".repeat(127))).toBeDefined();
    expect(parseServerIdentity(`${"a.".repeat(126)}aa.`)).toBeUndefined();
  });

  /** No number, not even one like `0xa`. */
  const label = fc.stringMatching(/^[a-z_-][a-z0-9_-]{0,8}$/);
  const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));

  test("the identity of a server is verified by its own name, and by one wildcard at most", () => {
    const asterisk = fc.constantFrom("*", "**", "a*", "*a");
    fc.assert(
      fc.property(domain, domain, fc.nat(3), asterisk, (server, other, at, star) => {
        expect(isFor(server, server.toUpperCase())).toBe(true);
        if (other !== server) expect(isFor(server, other)).toBe(false);
        const labels = server.split(".");
        const pattern = labels.map((text, index) => (index === at ? star : text)).join(".");
        const isWildcard = at === 0 && star === "*" && labels.length >= 3;
        if (at < labels.length) expect(isFor(server, pattern)).toBe(isWildcard);
      }),
      { numRuns: 500 },
    );
  });

  test("the identity of a server is verified by no name that differs in one byte but for the case", () => {
    fc.assert(
      fc.property(domain, fc.nat(), fc.nat(255), (server, at, byte) => {
        const bytes = Buffer.from(server);
        bytes[at % bytes.length] = byte;
        const name = bytes.toString("latin1");
        const isSame = Buffer.from(
          name.replace(/[A-Z]/g, (c) => c.toLowerCase()),
          "latin1",
        ).equals(Buffer.from(server));
        const isWildcard = name.startsWith("*.") && server.split(".").length >= 3;
        expect(isFor(server, name)).toBe(isSame || (isWildcard && server.indexOf(".") === 1));
      }),
      { numRuns: 500 },
    );
  });

  test("the identity of a server is read from any bytes, or none is found", () => {
    const server = { kind: "dns", name: "a.example" } as const;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(isCertificateFor(server, bytes)).toBe(false);
        expect(isCertificateFor(server, withExtensions(extension("551d11", bytes)))).toBe(false);
      }),
    );
  });
});
