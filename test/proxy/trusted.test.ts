import { expect, test } from "vitest";
import { isTrusted, parseNetworks } from "../../src/proxy/index.ts";
import { ip } from "./samples.ts";

test("a list of networks decides which peers are trusted", () => {
  const networks = parseNetworks("192.0.2.0/24,203.0.113.7,2001:db8::/32") ?? [];
  const verdicts = Object.fromEntries(
    [
      "192.0.2.255",
      "::ffff:192.0.2.1",
      "203.0.113.7",
      "2001:db8:ffff::1",
      "192.0.3.0",
      "203.0.113.6",
      "2001:db9::1",
      "::192.0.2.1",
    ].map((address) => [address, isTrusted(ip(address), networks)]),
  );
  expect(verdicts).toEqual({
    "192.0.2.255": true,
    "::ffff:192.0.2.1": true,
    "203.0.113.7": true,
    "2001:db8:ffff::1": true,
    "192.0.3.0": false,
    "203.0.113.6": false,
    "2001:db9::1": false,
    "::192.0.2.1": false,
  });
});

test("a network of mapped addresses is itself", () => {
  const networks = parseNetworks("::ffff:0:0/96") ?? [];
  expect([isTrusted(ip("::ffff:1.2.3.4"), networks), isTrusted(ip("1.2.3.4"), networks)]).toEqual([
    true,
    false,
  ]);
});

test.each(["", "192.0.2.7/24", "192.0.2.0/33", "192.0.2.0/24,", "192.0.2", "proxy.example.com"])(
  "the text %j is no list of networks",
  (text) => {
    expect(parseNetworks(text)).toBeUndefined();
  },
);
