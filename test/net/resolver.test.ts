import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { deadlineAfter } from "../../src/clock/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { formatIp, openResolver } from "../../src/net/index.ts";
import { reverseName } from "../../src/net/resolver.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { mustParse } from "./samples.ts";

import type { AddressQuery, Lookup, Resolver } from "../../src/net/index.ts";
import type { DnsServer } from "../support/dns-server.ts";

const RESOLV_CONF = "/etc/resolv.conf";
/** A time at which no change is too fresh to be relied on. */
const LONG_AFTER_NS = 1_000_000_000_000n;

let dns: DnsServer;
let resolver: Resolver;

beforeEach(async () => {
  dns = await startDnsServer();
  resolver = openWith({ DNSCACHEIP: dns.address, DNSQUALIFY: "one.example two.example" });
});

afterEach(async () => {
  await dns[Symbol.asyncDispose]();
});

function openWith(values: Readonly<Record<string, string>>): Resolver {
  return openResolver({
    posix: new FakePosix(), // without a resolv.conf
    variables: (name) => values[name],
  });
}

/** Addresses in text form, or how the look-up ended. */
async function addresses(name: string, query: AddressQuery = {}): Promise<unknown> {
  return textOf(await resolver.addresses(name, query, undefined));
}

function textOf(lookup: Lookup<{ readonly family: 4 | 6; readonly bytes: Uint8Array }>): unknown {
  return lookup.kind === "found" ? lookup.values.map(formatIp) : lookup;
}

describe("the addresses of a name", () => {
  beforeEach(() => {
    dns.records("www.example.com", "A", ["192.0.2.1", "192.0.2.2"]);
    dns.records("www.example.com", "AAAA", ["2001:db8::1"]);
    dns.records("v4.example.com", "A", ["192.0.2.4"]);
    dns.records("v6.example.com", "AAAA", ["2001:DB8::6"]);
  });

  test("all IPv6 ones, then all IPv4 ones", async () => {
    expect(await addresses("WWW.example.com")).toEqual(["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    expect(dns.queries.map(({ type }) => type).sort()).toEqual(["A", "AAAA"]);
  });

  test("one family is one query", async () => {
    expect(await addresses("www.example.com", { family: 4 })).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(await addresses("www.example.com.", { family: 6 })).toEqual(["2001:db8::1"]);
    expect(dns.queries.map(({ type }) => type)).toEqual(["A", "AAAA"]);
  });

  test("a name of one family only is found when both are asked for", async () => {
    expect(await addresses("v4.example.com")).toEqual(["192.0.2.4"]);
    expect(await addresses("v6.example.com")).toEqual(["2001:db8::6"]);
  });

  test("a name without records of the kind is found, with none", async () => {
    expect(await addresses("v6.example.com", { family: 4 })).toEqual([]);
  });

  test("a name that does not exist", async () => {
    expect(await addresses("no.example.com")).toEqual({ kind: "absent", text: "no such domain" });
  });

  test.each(["", "a..b", `${"x".repeat(64)}.example.com`, "a\0.example.com"])(
    "%j is no name, and nobody is asked",
    async (name) => {
      expect(await addresses(name)).toMatchObject({ kind: "absent" });
      expect(dns.queries).toEqual([]);
    },
  );

  test("one family's records are enough when the server fails the other", async () => {
    dns.answer("v4.example.com", "AAAA", { kind: "rcode", rcode: "SERVFAIL" });
    expect(await addresses("v4.example.com")).toEqual(["192.0.2.4"]);
  });

  test("a truncated answer is asked for again over TCP", async () => {
    const many = Array.from({ length: 100 }, (_, index) => `192.0.2.${index}`);
    dns.answer("big.example.com", "A", { kind: "truncated", data: many });
    expect(await addresses("big.example.com", { family: 4 })).toEqual(many);
    expect(dns.queries.map(({ transport }) => transport)).toEqual(["udp", "tcp"]);
  });

  test("no suffix is added unless asked for", async () => {
    dns.records("www.one.example", "A", ["192.0.2.11"]);
    expect(await addresses("www")).toMatchObject({ kind: "absent" });
    expect(await addresses("www", { qualify: true })).toEqual(["192.0.2.11"]);
  });

  test("suffixes are tried in order, the bare name last, a name with a final dot alone", async () => {
    expect(await addresses("www", { family: 4, qualify: true })).toMatchObject({ kind: "absent" });
    expect(await addresses("www.", { family: 4, qualify: true })).toMatchObject({ kind: "absent" });
    const asked = ["www.one.example", "www.two.example", "www", "www"];
    expect(dns.queries.map(({ name }) => name)).toEqual(asked);
  });

  test("a name with no addresses under one suffix is looked for under the next", async () => {
    dns.records("www.one.example", "AAAA", ["2001:db8::1"]);
    dns.records("www.two.example", "A", ["192.0.2.12"]);
    expect(await addresses("www", { family: 4, qualify: true })).toEqual(["192.0.2.12"]);
  });
});

describe("a failing server", () => {
  test.each([
    ["SERVFAIL", "ESERVFAIL", "server failure"],
    ["REFUSED", "EREFUSED", "server refused"],
    ["FORMERR", "EFORMERR", "server did not understand query"],
    ["NOTIMP", "ENOTIMP", "not implemented in server"],
  ] as const)("that says %s", async (rcode, code, text) => {
    dns.answer("www.example.com", "A", { kind: "rcode", rcode });
    const lookup = await addresses("www.example.com", { family: 4 });
    expect(lookup).toEqual({ kind: "failed", code, text });
  });

  test("that is not there", async () => {
    await dns[Symbol.asyncDispose]();
    const lookup = await addresses("www.example.com", { family: 4 });
    expect(lookup).toMatchObject({ kind: "failed", text: "no available DNS server" });
    dns = await startDnsServer();
  });

  test("that sends garbage", async () => {
    const bytes = Uint8Array.of(0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff);
    dns.answer("www.example.com", "A", { kind: "raw", bytes });
    const lookup = await addresses("www.example.com", { family: 4 });
    expect(lookup).toEqual({ kind: "failed", code: "EBADRESP", text: "malformed packet" });
  });

  test("among the suffixes does not hide a name that is found without", async () => {
    dns.answer("www.one.example", "A", { kind: "rcode", rcode: "SERVFAIL" });
    dns.records("www", "A", ["192.0.2.1"]);
    expect(await addresses("www", { family: 4, qualify: true })).toEqual(["192.0.2.1"]);
  });

  test("among the suffixes is what is reported when nothing is found", async () => {
    dns.answer("www.one.example", "A", { kind: "rcode", rcode: "SERVFAIL" });
    const lookup = await addresses("www", { family: 4, qualify: true });
    expect(lookup).toMatchObject({ kind: "failed", code: "ESERVFAIL" });
  });
});

describe("the names of an address", () => {
  test("are lower-case and end with a dot", async () => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["Host.Example.COM", "alias.example.com"]);
    const lookup = await resolver.names(mustParse("192.0.2.7"), undefined);
    const values = ["host.example.com.", "alias.example.com."];
    expect(lookup).toEqual({ kind: "found", values });
  });

  test("are asked for nibble by nibble for IPv6", async () => {
    const name = reverseName(mustParse("2001:db8::567:89ab"));
    expect(name).toBe("b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    dns.records(name, "PTR", ["six.example.com"]);
    const lookup = await resolver.names(mustParse("2001:db8::567:89ab"), undefined);
    expect(lookup).toEqual({ kind: "found", values: ["six.example.com."] });
  });

  test("do not come from the hosts file", async () => {
    const lookup = await resolver.names(mustParse("127.0.0.1"), undefined);
    expect(lookup).toMatchObject({ kind: "absent" });
    expect(dns.queries).toEqual([
      { name: "1.0.0.127.in-addr.arpa", type: "PTR", transport: "udp" },
    ]);
  });

  test.each(["../../etc/passwd", "a b.example.com", "a=b.example.com", "a/b.example.com"])(
    "%j is not the name of a host",
    async (name) => {
      dns.records("7.2.0.192.in-addr.arpa", "PTR", [name]);
      const lookup = await resolver.names(mustParse("192.0.2.7"), undefined);
      expect(lookup).toMatchObject({ kind: "failed", text: "malformed packet" });
    },
  );
});

describe("a deadline", () => {
  test("ends a look-up that nobody answers, and only that one", async () => {
    dns.answer("slow.example.com", "A", { kind: "silence" });
    dns.records("fast.example.com", "A", ["192.0.2.1"]);
    const clock = new FakeClock();
    const slow = resolver.addresses("slow.example.com", { family: 4 }, deadlineAfter(clock, 500));
    await dns.received(1);
    const fast = resolver.addresses("fast.example.com", { family: 4 }, undefined);
    clock.advance(500);
    expect(await slow).toEqual({ kind: "timedOut", text: "query timed out" });
    expect(textOf(await fast)).toEqual(["192.0.2.1"]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("that has passed already asks nobody", async () => {
    const deadline = deadlineAfter(new FakeClock(), 0);
    const lookup = await resolver.names(mustParse("192.0.2.7"), deadline);
    expect(lookup.kind).toBe("timedOut");
    expect(dns.queries).toEqual([]);
  });

  test("keeps what has been found when it passes", async () => {
    dns.answer("half.example.com", "AAAA", { kind: "silence" });
    dns.records("half.example.com", "A", ["192.0.2.1"]);
    const clock = new FakeClock();
    const lookup = resolver.addresses("half.example.com", {}, deadlineAfter(clock, 500));
    await dns.received(2);
    dns.records("next.example.com", "A", ["192.0.2.2"]);
    await resolver.addresses("next.example.com", { family: 4 }, undefined); // A has come by now
    clock.advance(500);
    expect(textOf(await lookup)).toEqual(["192.0.2.1"]);
  });

  test("leaves no timer behind when it was not needed", async () => {
    dns.records("www.example.com", "A", ["192.0.2.1"]);
    const clock = new FakeClock();
    await resolver.addresses("www.example.com", {}, deadlineAfter(clock, 500));
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("the configuration", () => {
  test("that is malformed is a failure with its name", async () => {
    const lookup = await openWith({ DNSCACHEIP: "dns" }).addresses("www", {}, undefined);
    expect(lookup).toEqual({ kind: "failed", code: "EINVAL", text: "invalid $DNSCACHEIP" });
  });

  test("comes from resolv.conf, read when it is first needed", async () => {
    const posix = new FakePosix();
    posix.nowNs = LONG_AFTER_NS;
    const late = withResolvConf(posix);
    posix.putFile(RESOLV_CONF, `search late.example\n#${"x".repeat(5000)}\nsearch past.the.end\n`);
    dns.records("www.late.example", "A", ["192.0.2.1"]);
    const lookup = await late.addresses("www", { family: 4, qualify: true }, undefined);
    expect(textOf(lookup)).toEqual(["192.0.2.1"]);
  });

  test("is read again when resolv.conf has changed, and only then", async () => {
    const posix = new FakePosix();
    posix.nowNs = LONG_AFTER_NS;
    dns.records("www.one.example", "A", ["192.0.2.1"]);
    dns.records("www.two.example", "A", ["192.0.2.2"]);
    let opened = 0;
    const open = posix.open.bind(posix);
    posix.open = (...call) => {
      opened += 1;
      return open(...call);
    };
    const ask = async (): Promise<unknown> =>
      textOf(await withResolvConf(posix).addresses("www", { family: 4, qualify: true }, undefined));
    posix.putFile(RESOLV_CONF, "search one.example\n");
    expect([await ask(), await ask(), opened]).toEqual([["192.0.2.1"], ["192.0.2.1"], 1]);
    posix.files.get(RESOLV_CONF)?.change(Buffer.from("search two.example\n"));
    expect([await ask(), await ask(), opened]).toEqual([["192.0.2.2"], ["192.0.2.2"], 2]);
  });

  function withResolvConf(posix: FakePosix): Resolver {
    const values: Readonly<Record<string, string>> = { DNSCACHEIP: dns.address };
    return openResolver({ posix, variables: (name) => values[name] });
  }
});
