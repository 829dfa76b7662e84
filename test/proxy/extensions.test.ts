import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatExtensions, parseExtensions, Tlvs } from "../../src/proxy/index.ts";
import type { ProxyExtensions } from "../../src/proxy/index.ts";
import { parsed, ssl, tlv, tlvs, withTlvs } from "./samples.ts";

function extensionsOf(bytes: Uint8Array): ProxyExtensions {
  const { header } = parsed(bytes);
  return "tlvs" in header ? parseExtensions(header.tlvs) : {};
}

describe("extensions", () => {
  test("extensions are given by name, unknown ones as they are", () => {
    const aws = Buffer.from("\x01vpce-08d2bf15fac5001c9");
    const bytes = withTlvs(
      tlv(0x01, "h2"),
      tlv(0x02, "www.example.com"),
      tlv(0x04, "padding"),
      tlv(0x05, "id"),
      ssl(
        3,
        0,
        tlv(0x21, "TLSv1.3"),
        tlv(0x22, "joe"),
        tlv(0x23, "TLS_AES_256_GCM_SHA384"),
        tlv(0x24, "SHA256"),
        tlv(0x25, "RSA2048"),
      ),
      tlv(0x30, "blue"),
      tlv(0xea, aws),
    );
    expect(extensionsOf(bytes)).toEqual({
      alpn: "h2",
      authority: "www.example.com",
      uniqueId: Buffer.from("id"),
      netns: "blue",
      tls: {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384",
        commonName: "joe",
        signatureAlgorithm: "SHA256",
        keyAlgorithm: "RSA2048",
        certificate: "connection",
        isVerified: true,
      },
      others: [{ type: 0xea, value: aws }],
    });
  });

  test("extensions that are not there have no key", () => {
    expect(extensionsOf(withTlvs())).toEqual({});
    expect(extensionsOf(withTlvs(ssl(0, 0)))).toEqual({});
  });

  test.each([
    [1, "none"],
    [3, "connection"],
    [5, "session"],
    [7, "connection"],
  ])(
    "extensions with a client field of %i show whether there was a certificate: %s",
    (client, certificate) => {
      expect(extensionsOf(withTlvs(ssl(client, 0))).tls).toMatchObject({ certificate });
      expect(extensionsOf(withTlvs(ssl(client, 9))).tls).toMatchObject({ isVerified: false });
    },
  );

  test.each([1, 0x0100, 0x01_0000, 0x0100_0000, 0x8000_0000, 0xffff_ffff])(
    "extensions with a verify field of %i show that the certificate is not verified, whichever byte says so",
    (verify) => {
      expect(extensionsOf(withTlvs(ssl(3, verify))).tls).toMatchObject({ isVerified: false });
    },
  );

  test("extensions whose verify field is 0 show that the certificate is verified, whatever stands around it", () => {
    const { tls } = extensionsOf(withTlvs(ssl(0xff, 0, tlv(0xff, "\x01\xff"))));
    expect(tls).toMatchObject({ isVerified: true });
  });

  test.each([
    [{ certificate: "connection", isVerified: true }, [0x07, 0, 0, 0, 0]],
    [{ certificate: "session", isVerified: false }, [0x05, 0, 0, 0, 1]],
    [{ certificate: "none", isVerified: true }, [0x01, 0, 0, 0, 0]],
  ] as const)(
    "extensions of %j begin with the client and verify fields (section 2.2.6)",
    (tls, head) => {
      const [vector] = formatExtensions({ tls });
      expect(vector).toEqual({ type: 0x20, value: Buffer.from(head) });
    },
  );

  test("the last of several extensions of one type applies", () => {
    expect(extensionsOf(withTlvs(tlv(2, "a"), tlv(2, "b"))).authority).toBe("b");
  });

  test("extensions come back from the bytes they are made of", () => {
    fc.assert(
      fc.property(tlvs, (vectors) => {
        const extensions = parseExtensions(vectors);
        expect(parseExtensions(formatExtensions(extensions))).toEqual(extensions);
      }),
    );
  });

  test("extensions can be iterated and looked up", () => {
    const list = [
      { type: 1, value: Buffer.from("h2") },
      { type: 5, value: Buffer.alloc(0) },
    ];
    const vectors = Tlvs.of(list);
    expect([...vectors]).toEqual(list);
    expect([vectors.get(5), vectors.get(2)]).toEqual([Buffer.alloc(0), undefined]);
  });
});
