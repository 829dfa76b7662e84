import { isIP } from "node:net";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  formatIp,
  formatMaskedIp,
  fromSocketAddress,
  IP4_ANY,
  IP6_ANY,
  ip4FromNumber,
  ip4ToNumber,
  ipFromBytes,
  isIp4Mapped,
  isSameIp,
  maskIp,
  parseIp,
  parseIp4,
  parseIp6,
  parseIpList,
  toSocketAddress,
  unmapIp,
} from "../../src/net/index.ts";
import { ips, mustParse } from "./samples.ts";
import { tableRows } from "./vectors.ts";

describe("addresses as text", () => {
  for (const [text = "", canonical = ""] of tableRows("net-ip.md")) {
    test(`the address ${text} is written as ${canonical}`, () => {
      const ip = parseIp(text);
      expect(ip === undefined ? "refused" : formatIp(ip)).toBe(canonical);
    });
  }

  test("each address parser accepts its own family only", () => {
    expect(parseIp4("::1")).toBeUndefined();
    expect(parseIp6("127.0.0.1")).toBeUndefined();
    expect(parseIp("")).toBeUndefined();
    expect(parseIp6("")).toBeUndefined();
  });

  test("an address that is formatted parses back to the same address", () => {
    fc.assert(
      fc.property(ips, (ip) => {
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
    );
  });

  test("any spelling of the groups of an address gives the same address", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const groups = fc.array(fc.oneof(group, fc.constant(0)), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, fc.boolean(), (values, padded) => {
        const words = values.map((value) => value.toString(16).padStart(padded ? 4 : 1, "0"));
        const ip = mustParse(words.join(":").toUpperCase());
        expect(Array.from(ip.bytes)).toEqual(values.flatMap((value) => [value >> 8, value & 255]));
      }),
    );
  });

  test("the address parsers accept nothing that the system would refuse, and never crash", () => {
    const piece = fc.constantFrom(":", "::", "0", "1", "ffff", ".", "1.2.3.4", "%lo", "g", " ");
    const texts = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const ip = parseIp(text);
        const withoutLeadingZeros = text.replace(/\b0+(?=\d)/g, ""); // ours are decimal in quads too
        if (ip !== undefined) expect(isIP(withoutLeadingZeros)).toBe(ip.family);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("lists of addresses", () => {
  const format = (text: string, options = {}): string[] | undefined =>
    parseIpList(text, options)?.map(formatIp);

  test("lists of addresses are separated by runs of commas, semicolons and white space", () => {
    expect(format(" 127.0.0.1,;\t::1\r\n1.2.3.4 ")).toEqual(["127.0.0.1", "::1", "1.2.3.4"]);
    expect(format("")).toEqual([]);
  });

  test("lists of addresses may be separated by colons where only IPv4 is meant", () => {
    expect(format("1.2.3.4:5.6.7.8", { family: 4 })).toEqual(["1.2.3.4", "5.6.7.8"]);
    expect(format("1.2.3.4:5.6.7.8")).toBeUndefined();
  });

  test("lists of addresses are refused for one bad entry or one of the other family", () => {
    expect(format("127.0.0.1,localhost")).toBeUndefined();
    expect(format("127.0.0.1,::1", { family: 6 })).toBeUndefined();
    expect(format("127.0.0.1,::1", { family: 4 })).toBeUndefined();
  });

  test("lists of addresses are cut after 16 addresses, or as many as asked for", () => {
    const text = Array.from({ length: 20 }, (_, index) => `10.0.0.${index}`).join(" ");
    expect(format(text)).toHaveLength(16);
    expect(format(text, { most: 1 })).toEqual(["10.0.0.0"]);
  });
});

describe("masks", () => {
  test("masking gives the keys of the access rules for one address", () => {
    const ip = mustParse("192.168.13.7");
    const keys = [32, 31, 30, 24, 20, 1, 0].map((bits) => formatMaskedIp(ip, bits));
    expect(keys).toEqual([
      "192.168.13.7",
      "192.168.13.6",
      "192.168.13.4",
      "192.168.13.0",
      "192.168.0.0",
      "128.0.0.0",
      "0.0.0.0",
    ]);
    expect(formatMaskedIp(mustParse("::ffff:1.2.3.4"), 128)).toBe("::ffff:102:304");
    expect(formatMaskedIp(mustParse("2001:db8::ffff"), 0)).toBe("::");
  });

  test("formatting under a mask is masking, then formatting, and its bits agree with arithmetic", () => {
    fc.assert(
      fc.property(ips, fc.nat(128), (ip, wish) => {
        const width = ip.bytes.length * 8;
        const bits = Math.min(wish, width);
        const masked = maskIp(ip, bits);
        expect(formatMaskedIp(ip, bits)).toBe(formatIp(masked));
        const value = BigInt(`0x${Buffer.from(ip.bytes).toString("hex")}`);
        const low = BigInt(width - bits);
        const hex = ((value >> low) << low).toString(16).padStart(width / 4, "0");
        expect(Buffer.from(masked.bytes).toString("hex")).toBe(hex);
      }),
    );
  });

  test("masking leaves the address it was given alone", () => {
    const ip = ipFromBytes(Buffer.from([10, 1, 2, 3]));
    expect(formatIp(maskIp(ip, 8))).toBe("10.0.0.0");
    expect(formatIp(ip)).toBe("10.1.2.3");
  });
});

describe("other forms of an address", () => {
  test("an IPv4 address is a 32-bit number, and back", () => {
    expect(ip4ToNumber(mustParse("192.0.2.1"))).toBe(0xc000_0201);
    expect(ip4ToNumber(mustParse("::ffff:192.0.2.1"))).toBe(0xc000_0201);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
        expect(ip4ToNumber(ip4FromNumber(value))).toBe(value);
      }),
    );
  });

  test("4 bytes are an IPv4 address and 16 an IPv6 address, and any other number is a bug", () => {
    expect(ipFromBytes(new Uint8Array(4))).toEqual(IP4_ANY);
    expect(ipFromBytes(new Uint8Array(16))).toEqual(IP6_ANY);
    expect(() => ipFromBytes(new Uint8Array(5))).toThrow(RangeError);
  });

  test("a mapped address is not the IPv4 address it holds until it is unmapped", () => {
    const mapped = mustParse("::ffff:192.0.2.1");
    const plain = mustParse("192.0.2.1");
    expect([isIp4Mapped(mapped), isIp4Mapped(plain)]).toEqual([true, false]);
    expect(isIp4Mapped(mustParse("1::ffff:192.0.2.1"))).toBe(false);
    expect(isSameIp(mapped, plain)).toBe(false);
    expect(isSameIp(unmapIp(mapped), plain)).toBe(true);
    expect(unmapIp(plain)).toBe(plain);
  });

  test("an endpoint goes to the kernel's form and back", () => {
    const endpoint = { address: mustParse("fe80::1"), port: 25 };
    const socket = toSocketAddress(endpoint, 3);
    expect(socket).toEqual({ family: "inet6", bytes: endpoint.address.bytes, port: 25, scope: 3 });
    expect(fromSocketAddress(socket)).toEqual(endpoint);
    expect(toSocketAddress({ address: IP4_ANY, port: 0 })).toMatchObject({
      family: "inet",
      scope: 0,
    });
    expect(fromSocketAddress({ family: "unix", path: "/run/x" })).toBeUndefined();
  });
});
