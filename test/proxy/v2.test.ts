import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { crc32c, formatProxy, parseProxy, Tlvs } from "../../src/proxy/index.ts";
import { ROOT } from "../support/scene.ts";
import { ADDRESSES4, end, facts, parsed, problemOf, ssl, tlv, v2, withTlvs } from "./samples.ts";

const NO_TLVS = new Uint8Array(0);

describe("a v2 header", () => {
  test("a v2 header announces a TCP4 connection: the vector of the specification", () => {
    const bytes = Buffer.from("0d0a0d0a000d0a515549540a2111000c0102030405060708006f00de", "hex");
    expect(parsed(Buffer.concat([bytes, Buffer.from("rest")]))).toEqual({
      kind: "done",
      bytesUsed: bytes.length,
      header: {
        command: "proxy",
        family: "tcp4",
        source: end("1.2.3.4", 111),
        destination: end("5.6.7.8", 222),
        tlvs: Tlvs.none,
      },
    });
  });

  test("a v2 header announces a TCP6 connection", () => {
    const body = Buffer.from(
      "20010db800000000000000000000000120010db8000000000000000000000002c0000050",
      "hex",
    );
    expect(parsed(v2(0x21, 0x21, body)).header).toMatchObject({
      family: "tcp6",
      source: end("2001:db8::1", 49152),
      destination: end("2001:db8::2", 80),
    });
  });

  test("a v2 header announces a Unix connection; a path ends at a NUL or with its field", () => {
    const body = Buffer.alloc(216, "x");
    body.write("/run/a\0", "latin1");
    expect(parsed(v2(0x21, 0x31, body)).header).toMatchObject({
      family: "unixStream",
      source: "/run/a",
      destination: "x".repeat(108),
    });
  });

  test.each([
    ["udp4", 0x12, 12],
    ["udp6", 0x22, 36],
    ["unixDatagram", 0x32, 216],
  ])("a v2 header may be about datagrams: %s", (family, byte, length) => {
    expect(parsed(v2(0x21, byte, Buffer.alloc(length))).header).toMatchObject({ family });
  });

  test.each([0x00, 0x01, 0x02, 0x05, 0x10, 0x20, 0x30])(
    "a v2 header of family %i announces no client, and its body is skipped",
    (family) => {
      const bytes = v2(0x21, family, Buffer.from("any bytes"));
      expect(parsed(Buffer.concat([bytes, ADDRESSES4]))).toEqual({
        kind: "done",
        header: { command: "proxy", family: "unspecified" },
        bytesUsed: 25,
      });
    },
  );

  test.each([0x00, 0x11, 0x12, 0x21, 0x31, 0x5f])(
    "a v2 header of a local connection announces no client, whatever its family (%i) and body are",
    (family) => {
      expect(parsed(v2(0x20, family, ADDRESSES4.subarray(0, 5)))).toEqual({
        kind: "done",
        header: { command: "local" },
        bytesUsed: 21,
      });
    },
  );

  test.each([
    ["another signature", Buffer.from("\r\n\r\n\0\r\nQUIX\n"), "invalid magic"],
    ["version 1", v2(0x11, 0x11, ADDRESSES4), "invalid version"],
    ["version 3", v2(0x31, 0x11, ADDRESSES4), "invalid version"],
    ["command 2", v2(0x22, 0x11, ADDRESSES4), "invalid command"],
    ["family 4", v2(0x21, 0x41, ADDRESSES4), "invalid family"],
    ["family 4 and no transport", v2(0x21, 0x40, ADDRESSES4), "invalid family"],
    ["transport 3", v2(0x21, 0x13, ADDRESSES4), "invalid transport protocol"],
    ["11 bytes for IPv4", v2(0x21, 0x11, Buffer.alloc(11)), "invalid address length"],
    ["35 bytes for IPv6", v2(0x21, 0x21, Buffer.alloc(35)), "invalid address length"],
    ["215 bytes for paths", v2(0x21, 0x31, Buffer.alloc(215)), "invalid address length"],
    ["half a TLV", withTlvs(Uint8Array.of(4, 0)), "invalid TLV encoding in extension"],
    ["a TLV beyond the end", withTlvs(Uint8Array.of(4, 0, 1)), "invalid TLV encoding in extension"],
    ["0x21 outside SSL", withTlvs(tlv(0x21, "TLSv1.3")), "invalid main extension type"],
    ["0x22 outside SSL", withTlvs(tlv(0x22, "joe")), "invalid main extension type"],
    ["0x23 outside SSL", withTlvs(tlv(0x23, "AES")), "invalid main extension type"],
    ["SSL of 4 bytes", withTlvs(tlv(0x20, "abcd")), "invalid sub-TLV encoding in SSL extension"],
    [
      "a TLV beyond SSL",
      withTlvs(ssl(1, 0, Uint8Array.of(0x21, 0, 2, 1)), tlv(4, "")),
      "invalid TLV encoding in sub-extension",
    ],
    ["a name inside SSL", withTlvs(ssl(1, 0, tlv(2, "x"))), "invalid sub-extension type"],
    ["a checksum of 3 bytes", withTlvs(tlv(3, "abc")), "invalid checksum length"],
    ["a wrong checksum", withTlvs(tlv(3, "abcd")), "invalid checksum"],
  ])("a v2 header with %s is refused", (_, bytes, why) => {
    expect(problemOf(bytes)).toBe(why);
  });

  test("a v2 header may have an SSL TLV full of junk if the client did not use TLS", () => {
    expect(problemOf(withTlvs(ssl(0, 0, Uint8Array.of(0x21, 9, 9))))).toBe("done");
  });

  test("a v2 header is refused at its first wrong byte", () => {
    const wrong = v2(0x21, 0x43, ADDRESSES4);
    const verdicts = Array.from({ length: 17 }, (_, length) =>
      problemOf(wrong.subarray(0, length)),
    );
    expect(verdicts.slice(0, 14)).toEqual(Array(14).fill("more"));
    expect(verdicts.slice(14)).toEqual(Array(3).fill("invalid family"));
  });

  test("a v2 header shows how much of it is missing", () => {
    const bytes = v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(4, Buffer.alloc(300))]));
    const wanted = [1, 15, 16, 20, bytes.length - 1].map((length) => {
      const progress = parseProxy(bytes.subarray(0, length));
      return progress.kind === "more" ? progress.bytesWanted : progress;
    });
    expect(wanted).toEqual([15, 1, bytes.length - 16, bytes.length - 20, 1]);
  });

  test("a v2 header may be as long as its length field can say", () => {
    const bytes = withTlvs(tlv(4, Buffer.alloc(0xffff - 15)));
    expect(parsed(bytes).bytesUsed).toBe(16 + 0xffff);
  });

  test("a v2 header is not accepted where only v1 is", () => {
    const bytes = v2(0x21, 0x11, ADDRESSES4);
    expect(parseProxy(bytes, 1)).toEqual({ kind: "invalid", why: "invalid magic" });
    expect(parseProxy(bytes, 2).kind).toBe("done");
    expect(parseProxy(NO_TLVS, 2)).toEqual({ kind: "more", bytesWanted: 16 });
  });

  test("a v2 header has addresses of its own, which outlive its bytes", () => {
    const bytes = v2(0x21, 0x11, ADDRESSES4);
    const { header } = parsed(bytes);
    bytes.fill(0xff);
    expect(header).toMatchObject({ source: end("1.2.3.4", 111) });
  });
});

describe("the checksum", () => {
  // RFC 3720, appendix B.4.
  test.each([
    ["32 zeros", Buffer.alloc(32), 0x8a9136aa],
    ["32 ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
    ["0 to 31", Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
    ["123456789", Buffer.from("123456789"), 0xe3069283],
    ["nothing", NO_TLVS, 0],
  ])("the checksum of %s is that of CRC-32C", (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });

  test("the checksum counts its own bytes as zero, wherever they are", () => {
    const bytes = Buffer.from("some bytes and some more of them");
    for (let at = 0; at + 4 <= bytes.length; at += 1) {
      const zeroed = Buffer.from(bytes).fill(0, at, at + 4);
      expect(crc32c(bytes, at)).toBe(crc32c(zeroed));
    }
  });

  test("the checksum is written behind the other TLVs, in place of older ones, and verified", () => {
    const { header } = parsed(withTlvs(tlv(2, "www.example.com")));
    const once = formatProxy(header, { version: 2, checksum: true });
    const twice = formatProxy(parsed(once).header, { version: 2, checksum: true });
    expect(Buffer.from(twice).equals(once)).toBe(true);
    expect(formatProxy(parsed(once).header, { version: 2 })).toEqual(
      withTlvs(tlv(2, "www.example.com")),
    );
    const typeAt = once.length - 7; // without its type it is no checksum any more
    for (let at = 16; at < once.length; at += 1) {
      if (at === typeAt) continue;
      const damaged = Uint8Array.from(once);
      damaged[at] = (damaged[at] ?? 0) ^ 0x40;
      expect(problemOf(damaged)).toMatch(/^invalid/);
    }
  });
});

test("the examples on the page of the format are headers", () => {
  const page = readFileSync(join(ROOT, "docs", "formats", "proxy.md"), "utf8");
  const blocks = page.split("## Examples")[1]?.match(/(?:^ {4}[0-9a-f ]+\n)+/gm) ?? [];
  const examples = blocks.map((block) => Buffer.from(block.replaceAll(/\s/g, ""), "hex"));
  expect(examples.map((bytes) => parsed(bytes).bytesUsed)).toEqual([28, 39]);
});

describe("formatting v2", () => {
  test("formatting v2 gives the bytes that were parsed", () => {
    for (const bytes of [
      v2(0x21, 0x11, ADDRESSES4),
      v2(0x21, 0x22, Buffer.alloc(36, 7)),
      withTlvs(tlv(1, "h2"), ssl(1, 0, tlv(0x21, "TLSv1.3")), tlv(0xea, "\x01vpce-1")),
      v2(0x20, 0x00, NO_TLVS),
      v2(0x21, 0x00, NO_TLVS),
    ]) {
      expect(Buffer.from(formatProxy(parsed(bytes).header, { version: 2 }))).toEqual(bytes);
    }
  });

  test("formatting v2 refuses values that do not fit", () => {
    const unix = { command: "proxy", family: "unixStream", destination: "" } as const;
    const long = { ...unix, source: "x".repeat(109), tlvs: Tlvs.none };
    expect(() => formatProxy(long, { version: 2 })).toThrow(RangeError);
    const most = Tlvs.of([{ type: 4, value: new Uint8Array(0xffff) }]);
    const full = { ...unix, source: "", tlvs: most };
    expect(() => formatProxy(full, { version: 2 })).toThrow(RangeError);
    expect(() => Tlvs.of([{ type: 256, value: NO_TLVS }])).toThrow(RangeError);
    expect(() => Tlvs.of([{ type: 4, value: new Uint8Array(0x10000) }])).toThrow(RangeError);
  });

  test("formatting v2 keeps bytes of paths that are not UTF-8", () => {
    const body = Buffer.alloc(216);
    body.set([0x2f, 0xff, 0xfe], 0);
    const { header } = parsed(v2(0x21, 0x31, body));
    expect(facts(parsed(formatProxy(header, { version: 2 })).header)).toEqual(facts(header));
    expect(Buffer.from(formatProxy(header, { version: 2 }))).toEqual(v2(0x21, 0x31, body));
  });
});
