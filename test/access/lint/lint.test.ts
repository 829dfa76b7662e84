import { expect, test } from "vitest";
import { lintCdb, lintDirectory } from "../../../src/access/index.ts";
import { cdbBytes, NodeFiles, TemporaryDirectory } from "../samples.ts";

import type { Finding } from "../../../src/access/index.ts";
import type { SampleRecord } from "../samples.ts";

const ALLOW = "A\0\0\0\0";

function brief(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, code, key }) => `${severity} ${code} ${key}`).sort();
}

test.each<[string, SampleRecord[], string[]]>([
  [
    "nothing to say",
    [
      ["ip4/10.0.0.0_8", ALLOW],
      ["ip6/2001:db8::_32", "D"],
      ["reversedns/example.org", ALLOW],
      ["uid/self", ALLOW],
      ["gid/0", ALLOW],
      ["uid/default", "D"],
    ],
    [],
  ],
  [
    "keys that no check asks for",
    [
      ["ip4/10.0.0.1_8", ALLOW],
      ["ip4/010.0.0.0_8", ALLOW],
      ["ip4/10.0.0.0_33", ALLOW],
      ["ip4/10.0.0.0", ALLOW],
      ["ip6/2001:DB8::_32", ALLOW],
      ["reversedns/Example.org", ALLOW],
      ["reversedns/example.net.", ALLOW],
      ["uid/007", ALLOW],
      ["uid/root", ALLOW],
      ["gid/default", ALLOW],
      ["ipv4/1.2.3.4_32", ALLOW],
      ["nonsense", ALLOW],
    ],
    [
      "warning bad-id gid/default",
      "warning bad-id uid/007",
      "warning bad-id uid/root",
      "warning bad-network ip4/10.0.0.0",
      "warning bad-network ip4/10.0.0.0_33",
      "warning host-bits ip4/10.0.0.1_8",
      "warning not-canonical ip4/010.0.0.0_8",
      "warning not-canonical ip6/2001:DB8::_32",
      "warning trailing-dot reversedns/example.net.",
      "warning unknown-kind ipv4/1.2.3.4_32",
      "warning unknown-kind nonsense",
      "warning upper-case reversedns/Example.org",
    ],
  ],
  [
    "certificates, which only we look at",
    [
      ["clientcert/@", ALLOW],
      ["clientcert/none", "D"],
      [`clientcert/sha256:${"0a".repeat(32)}`, ALLOW],
      ["clientcert/uri:spiffe:%2F%2Fa.example%2Fdb", ALLOW],
      ["clientcert/ip:2001:db8::1", ALLOW],
      ["clientcert/subject:C=US, CN=Joe", ALLOW],
    ],
    ["note extension clientcert"],
  ],
  [
    "keys of certificates that no check asks for, and one that is not what it seems",
    [
      ["clientcert/dns:*.example.org", ALLOW],
      ["clientcert/dns:Example.org", ALLOW],
      ["clientcert/dns:example.org.", "D"],
      ["clientcert/dns:a..example", ALLOW],
      ["clientcert/email:a@Example.org.", ALLOW],
      [`clientcert/sha256:${"0A".repeat(32)}`, ALLOW],
      ["clientcert/sha256:0a", ALLOW],
      ["clientcert/uri:a%2fb", ALLOW],
      ["clientcert/uri:a/b", ALLOW],
      ["clientcert/uri:100%", ALLOW],
      [`clientcert/uri:${"x".repeat(252)}`, ALLOW],
      ["clientcert/ip:2001:DB8::1", ALLOW],
      ["clientcert/ip:10.0.0.0_8", ALLOW],
      ["clientcert/subject:", ALLOW],
      ["clientcert/CN=a", ALLOW],
      ["clientcert", ALLOW],
    ],
    [
      "note extension clientcert",
      "note wildcard clientcert/dns:*.example.org",
      "warning bad-certificate clientcert",
      "warning bad-certificate clientcert/CN=a",
      "warning bad-certificate clientcert/dns:a..example",
      "warning bad-certificate clientcert/ip:10.0.0.0_8",
      "warning bad-certificate clientcert/sha256:0a",
      "warning bad-certificate clientcert/subject:",
      "warning bad-certificate clientcert/uri:100%",
      "warning not-canonical clientcert/dns:Example.org",
      "warning not-canonical clientcert/dns:example.org.",
      "warning not-canonical clientcert/email:a@Example.org.",
      "warning not-canonical clientcert/ip:2001:DB8::1",
      `warning not-canonical clientcert/sha256:${"0A".repeat(32)}`,
      "warning not-canonical clientcert/uri:a%2fb",
      "warning not-canonical clientcert/uri:a/b",
      `warning too-long clientcert/uri:${"x".repeat(252)}`,
    ],
  ],
  [
    "names that addresses never leave a turn to",
    [
      ["ip4/0.0.0.0_0", "D"],
      ["ip6/::_0", "D"],
      ["reversedns/a", ALLOW],
    ],
    ["warning shadowed reversedns/a"],
  ],
  [
    "the same in one family, the catch-all being two halves",
    [
      ["ip4/0.0.0.0_1", "D"],
      ["ip4/128.0.0.0_1", ALLOW],
      ["reversedns/a", ALLOW],
    ],
    ["note shadowed reversedns/a"],
  ],
  [
    "a network of which narrower ones leave nothing",
    [
      ["ip4/10.0.0.0_8", ALLOW],
      ["ip4/10.0.0.0_9", "D"],
      ["ip4/10.128.0.0_9", "D"],
    ],
    ["warning shadowed ip4/10.0.0.0_8"],
  ],
  [
    "rules that say what a wider one says",
    [
      ["ip4/10.0.0.0_8", ALLOW],
      ["ip4/10.1.0.0_16", ALLOW],
      ["ip4/10.2.0.0_16", "A\0\x04A=b\0\0\0"],
      ["reversedns/b.c", "D"],
      ["reversedns/a.b.c", "D"],
      ["reversedns/x", "D"],
    ],
    ["note redundant ip4/10.1.0.0_16", "note redundant reversedns/a.b.c"],
  ],
  [
    "records that decide nothing or cannot be used",
    [
      ["uid/1", "D"],
      ["uid/1", "D"],
      ["uid/1", ALLOW],
      ["uid/2", "?"],
      ["uid/3", "A"],
      ["uid/4", "A\0\x03A=b\0\0"],
      ["uid/5", `A\0\0\x10\0${"x".repeat(4096)}`],
    ],
    [
      "error invalid uid/3",
      "error invalid uid/4",
      "note duplicate uid/1",
      "warning duplicate uid/1",
      "warning empty uid/2",
      "warning exec-cut uid/5",
    ],
  ],
])("the lint reports a database with %s", (_, records, expected) => {
  expect(brief(lintCdb(cdbBytes(records)))).toEqual(expected);
});

test("the lint reports the faults that only a directory can have", () => {
  using directory = new TemporaryDirectory();
  directory.write({
    "uid/1/allow": "",
    "uid/1/deny": "",
    "uid/2/": "",
    "uid/3/allow": "",
    "uid/3/env/A": "x".repeat(3000),
    "uid/3/env/B": "x".repeat(3000),
    "uid/4/allow": "",
    "uid/4/exec": "x".repeat(4096),
    "uid/5/allow": "",
    "uid/README": "",
    NOTES: "",
    ".git/x": "",
  });
  const files = new NodeFiles();
  files.forbidden.add(directory.file("uid/5/allow"));
  expect(brief(lintDirectory(files, directory.path))).toEqual([
    "error environment-too-big uid/3",
    "error stray NOTES",
    "error stray uid/README",
    "warning both uid/1",
    "warning empty uid/2",
    "warning exec-cut uid/4",
    "warning unreadable uid/5",
    "warning unreadable uid/README",
  ]);
});
