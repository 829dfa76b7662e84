import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ALTERNATIVE_NAMES_BYTES_MAX, areFewAlternativeNames } from "../../../src/net/index.ts";
import {
  formatSubject,
  formatTlsBlock,
  parseTlsBlock,
  TLS_BLOCK_BYTES_MAX,
  tlsEdits,
} from "../../../src/tls/index.ts";
import { newSelfSigned } from "../../support/certificates.ts";

const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !/[=\0]/.test(text));
const value = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\0"));
const edits = fc.array(fc.record({ name, value: fc.option(value, { nil: undefined }) }), {
  maxLength: 10,
});

describe("the block of variables", () => {
  test("the block of variables is that of the C suite", () => {
    const block = formatTlsBlock([
      { name: "SSL_PROTOCOL", value: "TLSv1.2" },
      { name: "SSL_CIPHER", value: "ECDHE-ECDSA-CHACHA20-POLY1305" },
      { name: "SSL_TLS_SNI_SERVERNAME", value: "localhost" },
      { name: "SSL_PEER_CERT_HASH", value: undefined },
      { name: "SSL_PEER_CERT_SUBJECT", value: undefined },
    ]);
    expect(block.toString("latin1")).toBe(
      "SSL_PROTOCOL=TLSv1.2\0SSL_CIPHER=ECDHE-ECDSA-CHACHA20-POLY1305\0" +
        "SSL_TLS_SNI_SERVERNAME=localhost\0SSL_PEER_CERT_HASH\0SSL_PEER_CERT_SUBJECT\0\0",
    );
  });

  test("the block of variables has room for the longest of all that TLS tells", () => {
    const names = [{ kind: "uri", value: "u".repeat(ALTERNATIVE_NAMES_BYTES_MAX - 4) }] as const;
    expect(areFewAlternativeNames(names)).toBe(true);
    const escaped = (bytes: number) => ",".repeat(bytes);
    const subject = [
      { type: "C", value: escaped(2) },
      { type: "ST", value: escaped(128) },
      { type: "L", value: escaped(128) },
      ...["O", "OU", "CN"].map((type) => ({ type, value: escaped(64) })),
    ];
    const edits = tlsEdits({
      protocol: "TLSv1.3",
      cipher: "ECDHE-ECDSA-CHACHA20-POLY1305".padEnd(40, "x"),
      serverName: "n".repeat(255),
      alpn: "a".repeat(255),
      reportsPeer: true,
      peer: {
        sha256: "0".repeat(64),
        subject: formatSubject(newSelfSigned({ subject }).der),
        alternativeNames: names,
      },
    });
    expect(formatTlsBlock(edits).length).toBeGreaterThan(3600);
  });

  test("the block of variables comes back as it was", () => {
    fc.assert(
      fc.property(edits, (list) => {
        expect(parseTlsBlock(formatTlsBlock(list))).toEqual(list);
      }),
    );
  });

  test("the block of variables is refused when it is cut short or has bytes behind its end", () => {
    fc.assert(
      fc.property(edits, fc.nat(), (list, at) => {
        const block = formatTlsBlock(list);
        expect(parseTlsBlock(block.subarray(0, at % block.length))).toBeUndefined();
        expect(parseTlsBlock(Buffer.concat([block, Buffer.from([at & 0xff])]))).toBeUndefined();
      }),
    );
  });

  test("the block of variables is parsed or refused, whatever the bytes; a parsed one can be written", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const parsed = parseTlsBlock(bytes);
        if (parsed !== undefined) expect(formatTlsBlock(parsed)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("the block of variables has a ceiling both ways", () => {
    const fits = [{ name: "A", value: "x".repeat(TLS_BLOCK_BYTES_MAX - 4) }];
    expect(parseTlsBlock(formatTlsBlock(fits))).toEqual(fits);
    expect(() => formatTlsBlock([...fits, { name: "B", value: undefined }])).toThrow(RangeError);
    const tooLong = Buffer.from(`A=${"x".repeat(TLS_BLOCK_BYTES_MAX)}\0\0`);
    expect(parseTlsBlock(tooLong)).toBeUndefined();
  });

  test.each([
    { name: "", value: "x" },
    { name: "A=B", value: "x" },
    { name: "A", value: "x\0y" },
    { name: "A\0", value: undefined },
  ])("the block of variables holds no %j", (edit) => {
    expect(() => formatTlsBlock([edit])).toThrow(RangeError);
  });
});
