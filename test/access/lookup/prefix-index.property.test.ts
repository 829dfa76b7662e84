import fc from "fast-check";
import { expect, test } from "vitest";
import { CdbRuleSet, explainIp } from "../../../src/access/index.ts";
import { cdbBytes, mustParseIp } from "../samples.ts";
import { formatPrefix, maskIp } from "../../../src/net/index.ts";

import type { Verdict } from "../../../src/access/index.ts";
import type { IpAddress } from "../../../src/net/index.ts";
import type { SampleRecord } from "../samples.ts";

/** Few different bytes, so that networks nest, touch and repeat. */
const byte = fc.constantFrom(0, 1, 127, 128, 254, 255);

const ips: fc.Arbitrary<IpAddress> = fc.oneof(
  fc
    .array(byte, { minLength: 4, maxLength: 4 })
    .map((bytes) => ({ family: 4, bytes: Uint8Array.from(bytes) }) as const),
  fc
    .array(byte, { minLength: 16, maxLength: 16 })
    .map((bytes) => ({ family: 6, bytes: Uint8Array.from(bytes) }) as const),
);

const keys = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(ips, fc.nat(128)).map(([ip, bits]) => networkKey(ip, bits)) },
  { weight: 1, arbitrary: fc.constantFrom("ip4/10.0.0.1_8", "ip4/0.0.0.0_00", "ip6/::1_0", "x/y") },
);

/** `D`, two that allow, one that says nothing, one that is an error. */
const values = fc.constantFrom("D", "A\0\0\0\0", "A\0\x04A=b\0\0\0", "?", "A");

function networkKey(ip: IpAddress, length: number): string {
  const bits = Math.min(length, ip.family === 4 ? 32 : 128);
  return `ip${ip.family}/${formatPrefix({ address: maskIp(ip, bits), bits }, "_")}`;
}

/** The result of probing all 33 or 129 keys. */
function probed(bytes: Buffer, ip: IpAddress): Verdict {
  const last = explainIp(new CdbRuleSet(bytes), ip).at(-1);
  if (last === undefined || last.result.kind === "notFound") return { kind: "notFound" };
  return { ...last.result, rule: last.key };
}

test("the index answers as probing every prefix length does", () => {
  const records: fc.Arbitrary<SampleRecord[]> = fc.array(fc.tuple(keys, values), { maxLength: 40 });
  fc.assert(
    fc.property(records, fc.array(ips, { maxLength: 30 }), (rules, clients) => {
      const bytes = cdbBytes(rules);
      const indexed = new CdbRuleSet(bytes);
      // Enough checks for the index to be there.
      for (let check = 0; check < 20; check += 1) indexed.checkIp(mustParseIp("203.0.113.1"));
      for (const ip of [...clients, ...edges(rules)]) {
        expect(indexed.checkIp(ip)).toEqual(probed(bytes, ip));
      }
    }),
    { numRuns: 300 },
  );
});

/** The first address of each network, and the last of the one before it. */
function edges(rules: readonly SampleRecord[]): IpAddress[] {
  return rules.flatMap(([key]) => {
    const text = String(key).slice(4).split("_")[0] ?? "";
    if (!/^[0-9a-f.:]+$/.test(text)) return [];
    const first = mustParseIp(text);
    return [first, before(first)];
  });
}

function before(ip: IpAddress): IpAddress {
  const bytes = ip.bytes.slice();
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const value = bytes[at] ?? 0;
    bytes[at] = value - 1;
    if (value > 0) break;
  }
  return { family: ip.family, bytes };
}
