import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  formatServer,
  parseResolvConf,
  parseServers,
  qualifiedNames,
  resolverConfig,
} from "../../src/net/resolver-config.ts";

import type { Variables } from "../../src/net/index.ts";

const RESOLV_CONF = `
domain first.example
search .a.example  b.example
nameserver 192.0.2.53
nameserver fe80::1%eth0
nameserver 2001:db8::53 trailing
#nameserver 192.0.2.54
options ndots:2
`;

function variablesOf(values: Readonly<Record<string, string>>): Variables {
  return (name) => values[name];
}

function configOf(values: Readonly<Record<string, string>>, file = RESOLV_CONF) {
  const { servers, suffixes } = resolverConfig(variablesOf(values), parseResolvConf(file));
  return { servers: servers.map(formatServer), suffixes };
}

describe("the configuration of the resolver", () => {
  test("the servers and the last search list of resolv.conf are used", () => {
    expect(configOf({})).toEqual({
      servers: ["192.0.2.53:53", "[2001:db8::53]:53"],
      suffixes: ["a.example", "b.example"],
    });
  });

  test("a domain of resolv.conf is one word", () => {
    expect(configOf({}, "domain a.example b.example\n").suffixes).toEqual(["a.example"]);
    expect(configOf({}, "search a.example\ndomain\n").suffixes).toEqual([]);
  });

  test("DNSCACHEIP and DNSQUALIFY have precedence", () => {
    const variables = { DNSCACHEIP: "127.0.0.1,::1", DNSQUALIFY: "x.example  y.example" };
    expect(configOf(variables)).toEqual({
      servers: ["127.0.0.1:53", "[::1]:53"],
      suffixes: ["x.example", "y.example"],
    });
  });

  test("an empty DNSCACHEIP names no server; an empty DNSQUALIFY is no suffixes", () => {
    expect(configOf({ DNSCACHEIP: "", DNSQUALIFY: "" })).toEqual({
      servers: ["192.0.2.53:53", "[2001:db8::53]:53"],
      suffixes: [],
    });
  });

  test("the local host is queried when no server is configured", () => {
    expect(configOf({}, "")).toEqual({ servers: ["[::1]:53"], suffixes: [] });
  });

  test("a malformed DNSCACHEIP is refused by name", () => {
    expect(() => configOf({ DNSCACHEIP: "127.0.0.1,dns" })).toThrow("invalid $DNSCACHEIP");
  });

  test("the lists of servers and suffixes are bounded", () => {
    const many = Array.from({ length: 40 }, (_, index) => `10.0.0.${index}`);
    expect(configOf({ DNSCACHEIP: many.join(" ") }).servers).toHaveLength(16);
    const file = many.map((ip) => `nameserver ${ip}`).join("\n");
    expect(parseResolvConf(file).servers).toHaveLength(16);
    expect(configOf({ DNSQUALIFY: many.join(" ") }).suffixes).toHaveLength(16);
  });
});

describe("a list of servers", () => {
  test.each([
    ["127.0.0.1:5353", ["127.0.0.1:5353"]],
    ["[::1]:5353;[::1] ::1", ["[::1]:5353", "[::1]:53", "[::1]:53"]],
    ["127.0.0.1:", undefined],
    ["127.0.0.1:0", undefined],
    ["127.0.0.1:65536", undefined],
    ["[::1", undefined],
    ["[::1]x", undefined],
    ["::1:53x", undefined],
  ])("the list of servers %j is parsed as %j", (text, servers) => {
    expect(parseServers(text)?.map(formatServer)).toEqual(servers);
  });

  test("the parser of a list of servers never crashes, and the list prints as it parses", () => {
    const piece = fc.constantFrom("[", "]", ":", "::1", "127.0.0.1", "53", ",", " ", "x");
    const texts = fc.array(piece).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(fc.oneof(texts, fc.string()), (text) => {
        const servers = parseServers(text);
        if (servers === undefined) return;
        expect(parseServers(servers.map(formatServer).join(" "))).toEqual(servers);
      }),
    );
  });
});

test("a name is tried with each suffix and then alone, or alone if it ends with a dot", () => {
  expect(qualifiedNames("www", ["a", "b"])).toEqual(["www.a", "www.b", "www"]);
  expect(qualifiedNames("www.", ["a", "b"])).toEqual(["www."]);
  expect(qualifiedNames("www", [])).toEqual(["www"]);
});
