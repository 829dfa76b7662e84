import { expect, test } from "vitest";
import {
  CdbRuleSet,
  explainClientCertificate,
  explainIp,
  explainReverseDns,
  explainUidGid,
} from "../../../src/access/index.ts";
import { cdbBytes, mustParseIp } from "../samples.ts";

import type { Probe } from "../../../src/access/index.ts";

const RULES = new CdbRuleSet(
  cdbBytes([
    ["ip4/192.168.0.0_30", "?"],
    ["ip4/192.168.0.0_29", "D"],
    ["ip6/::_0", "A\0\0\0\0"],
    ["reversedns/org", "D"],
    ["gid/8", "A"],
    ["clientcert/dns:a", "A\0\0\0\0"],
  ]),
);

function lines(probes: readonly Probe[]): string[] {
  return probes.map(({ key, result }) => `${key} ${result.kind}`);
}

test("an address is looked up from the narrowest network on, until one decides", () => {
  expect(lines(explainIp(RULES, mustParseIp("192.168.0.3")))).toEqual([
    "ip4/192.168.0.3_32 notFound",
    "ip4/192.168.0.2_31 notFound",
    "ip4/192.168.0.0_30 notFound",
    "ip4/192.168.0.0_29 deny",
  ]);
});

test("an address that nothing decides is looked up in full", () => {
  const probes = explainIp(RULES, mustParseIp("10.0.0.1"));
  expect(probes.length).toBe(33);
  expect(probes.at(-1)).toEqual({ key: "ip4/0.0.0.0_0", result: { kind: "notFound" } });
  expect(explainIp(RULES, mustParseIp("2001:db8::1")).length).toBe(129);
});

test("a name is looked up suffix by suffix", () => {
  expect(lines(explainReverseDns(RULES, "a.example.org."))).toEqual([
    "reversedns/a.example.org notFound",
    "reversedns/example.org notFound",
    "reversedns/org deny",
  ]);
  expect(lines(explainReverseDns(RULES, "x")).at(-1)).toBe("reversedns/@ notFound");
});

test("a user is looked up until there is an answer, an error included", () => {
  expect(lines(explainUidGid(RULES, { uid: 7, gid: 8, serverUid: 7, serverGid: 0 }))).toEqual([
    "uid/self notFound",
    "uid/7 notFound",
    "gid/8 error",
  ]);
});

test("a certificate is looked up with all its names, as any of them may refuse it", () => {
  const certificate = {
    sha256: "0".repeat(64),
    alternativeNames: [
      { kind: "dns", value: "a" },
      { kind: "uri", value: "b" },
    ],
    subject: "CN=a",
  } as const;
  expect(lines(explainClientCertificate(RULES, certificate))).toEqual([
    `clientcert/sha256:${"0".repeat(64)} notFound`,
    "clientcert/dns:a allow",
    "clientcert/uri:b notFound",
  ]);
  expect(lines(explainClientCertificate(RULES, { ...certificate, alternativeNames: [] }))).toEqual([
    `clientcert/sha256:${"0".repeat(64)} notFound`,
    "clientcert/subject:CN=a notFound",
    "clientcert/@ notFound",
  ]);
  expect(lines(explainClientCertificate(RULES, undefined))).toEqual(["clientcert/none notFound"]);
});
