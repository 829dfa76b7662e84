import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  addressBits,
  formatIp,
  formatPrefix,
  isExactPrefix,
  isInPrefix,
  maskIp,
  parsePrefix,
} from "../../src/net/index.ts";
import { ips, mustParse } from "./samples.ts";

import type { IpPrefix } from "../../src/net/index.ts";

function mustParsePrefix(text: string): IpPrefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new TypeError(`Not a prefix: ${text}`);
  return prefix;
}

describe("a prefix", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["192.0.2.1", "192.0.2.1/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8::/32", "2001:db8::/32"],
    ["::1", "::1/128"],
    ["10.0.0.0/33", "refused"],
    ["::/129", "refused"],
    ["10/8", "refused"],
    ["10.0.0.0/", "refused"],
    ["10.0.0.0/8/8", "refused"],
    ["10.0.0.0/ 8", "refused"],
    ["10.0.0.0/255.0.0.0", "refused"],
    ["/8", "refused"],
    ["", "refused"],
  ])("the prefix %j is parsed as %s", (text, canonical) => {
    const prefix = parsePrefix(text);
    expect(prefix === undefined ? "refused" : formatPrefix(prefix)).toBe(canonical);
  });

  test("a prefix is the key of an access rule with another separator", () => {
    expect(formatPrefix(mustParsePrefix("2001:db8::/32"), "_")).toBe("2001:db8::_32");
  });

  test("a prefix is exact when no bit is set past its length", () => {
    expect(isExactPrefix("10.0.0.0/8")).toBe(true);
    expect(isExactPrefix("10.1.2.3/8")).toBe(false);
    expect(isExactPrefix("10.1.2.3")).toBe(true);
    expect(isExactPrefix("ten")).toBe(false);
  });

  test("a prefix contains the addresses that begin like it, of its own family", () => {
    const block = mustParsePrefix("192.168.12.0/22");
    expect(isInPrefix(mustParse("192.168.15.255"), block)).toBe(true);
    expect(isInPrefix(mustParse("192.168.16.0"), block)).toBe(false);
    expect(isInPrefix(mustParse("::ffff:192.168.12.1"), block)).toBe(false);
    expect(isInPrefix(mustParse("192.0.2.1"), mustParsePrefix("::/0"))).toBe(false);
  });

  test("a prefix comes back from its text, and contains its address however long it is", () => {
    fc.assert(
      fc.property(ips, fc.nat(128), (ip, wish) => {
        const bits = Math.min(wish, addressBits(ip.family));
        const prefix = mustParsePrefix(`${formatIp(ip)}/${bits}`);
        expect(prefix).toEqual({ address: maskIp(ip, bits), bits });
        expect(mustParsePrefix(formatPrefix(prefix))).toEqual(prefix);
        expect(isInPrefix(ip, prefix)).toBe(true);
      }),
    );
  });
});
