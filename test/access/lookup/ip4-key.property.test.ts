import fc from "fast-check";
import { expect, test } from "vitest";
import { IP4_KEY, ip4Key, parseIp4Key, writeIp4Key } from "../../../src/access/lookup/ip4-key.ts";
import { parsePrefixKey, prefixKey } from "../../../src/access/lookup/keys.ts";
import { parseRuleAddress } from "../../../src/access/tcprules/address.ts";
import { ip4ToNumber } from "../../../src/net/index.ts";

const part = fc.constantFrom(
  "0",
  "1",
  "10",
  "128",
  "192",
  "255",
  "256",
  "01",
  "999",
  "",
  "x",
  "1000",
);
const length = fc.oneof(fc.nat(33).map(String), fc.constantFrom("08", "", "x", "8x", "032"));

test("keys are read as the general way reads them", () => {
  const octets = fc.array(part, { minLength: 3, maxLength: 5 });
  const keys = fc
    .tuple(fc.constantFrom("ip4/", "ip6/", "ip4"), octets, fc.constantFrom("_", "/", ""), length)
    .map(([kind, numbers, bar, bits]) => `${kind}${numbers.join(".")}${bar}${bits}`);
  const valid = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.nat(8))
    .map(([octet, bits]) => `ip4/${octet & (0xff00 >> bits)}.0.0.0_${bits}`);
  fc.assert(
    fc.property(fc.oneof(keys, valid), (key) => {
      const prefix = parsePrefixKey(key);
      const expected =
        prefix === undefined || prefix.address.family === 6
          ? undefined
          : { first: ip4ToNumber(prefix.address), bits: prefix.bits };
      expect(parseIp4Key(Buffer.from(key))).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

test("addresses are written as the general way writes them, or left to it", () => {
  const texts = fc
    .tuple(fc.array(part, { maxLength: 5 }), fc.constantFrom("", "."))
    .map(([numbers, end]) => numbers.join(".") + end);
  fc.assert(
    fc.property(texts, (text) => {
      const source = Buffer.from(`${text}:allow\n`);
      if (!writeIp4Key(source, 0)) return;
      expect(ip4Key.end).toBe(text.length);
      const address = parseRuleAddress(text);
      expect(address.kind).toBe("network");
      const key = Buffer.from(IP4_KEY.subarray(0, ip4Key.bytes)).toString();
      if (address.kind === "network") expect(key).toBe(prefixKey(address.prefix));
    }),
    { numRuns: 2000 },
  );
});
