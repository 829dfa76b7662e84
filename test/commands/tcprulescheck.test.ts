import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newScene, peer } from "../support/scene.ts";

const NAME = "s6-tcprulescheck";

/** Rules of ucspi-tcp at every step of its look-up. */
const DJB = cdbBytes([
  ["joe@1.2.3.4", "+WHO=joe\0"],
  ["joe@=h.example.org", "+WHO=joe at h\0"],
  ["1.2.3.4", "D\0+A=b\0"],
  ["=h.example.org", "+A=b\0+C=\0"],
  ["1.2.3.", "D\0"],
  ["1.", ""],
  ["=.org", "D\0"],
  ["=", "+NAMED=\0"],
  ["", "D\0"],
]);

const DJB_CASES = [
  ["nothing at all, taken for 0.0.0.0", {}, "rule :\ndeny connection\n"],
  [
    "a user at an address",
    { TCPREMOTEINFO: "joe", TCPREMOTEIP: "1.2.3.4" },
    "rule joe@1.2.3.4:\nset environment variable WHO=joe\nallow connection\n",
  ],
  [
    "a user at a host",
    { TCPREMOTEINFO: "joe", TCPREMOTEIP: "9.9.9.9", TCPREMOTEHOST: "h.example.org" },
    "rule joe@=h.example.org:\nset environment variable WHO=joe at h\nallow connection\n",
  ],
  [
    "an address, denied without its variables",
    { TCPREMOTEIP: "1.2.3.4", TCPREMOTEHOST: "h.example.org" },
    "rule 1.2.3.4:\ndeny connection\n",
  ],
  [
    "a host before the network",
    { TCPREMOTEIP: "1.2.3.5", TCPREMOTEHOST: "h.example.org" },
    "rule =h.example.org:\nset environment variable A=b\nset environment variable C=\nallow connection\n",
  ],
  ["a network", { TCPREMOTEIP: "1.2.3.5" }, "rule 1.2.3.:\ndeny connection\n"],
  ["a wider network", { TCPREMOTEIP: "1.9.9.9" }, "rule 1.:\nallow connection\n"],
  [
    "a domain",
    { TCPREMOTEIP: "2.2.2.2", TCPREMOTEHOST: "x.y.org" },
    "rule =.org:\ndeny connection\n",
  ],
  [
    "any name, even with a dot at its end",
    { TCPREMOTEIP: "2.2.2.2", TCPREMOTEHOST: "x.y.org." },
    "rule =:\nset environment variable NAMED=\nallow connection\n",
  ],
] as const;

describe("rules of ucspi-tcp", () => {
  test.each(DJB_CASES)(
    "s6-tcprulescheck finds the rule for a client: %s",
    async (_, env, answer) => {
      await using scene = await newScene({ files: { "rules.cdb": DJB } });
      (await scene.run(NAME, ["rules.cdb"], { env })).exits(EXIT.ok).stdoutIs(answer).stderrIs("");
    },
  );

  const original = peer("tcprulescheck");
  test.skipIf(original.isMissing)(
    `s6-tcprulescheck prints the same as tcprulescheck${original.why}`,
    async () => {
      await using scene = await newScene({ files: { "rules.cdb": DJB } });
      for (const [, env, answer] of DJB_CASES) {
        const run = await scene.execute(original.path, ["rules.cdb"], { env }).finished();
        run.exits(EXIT.ok).stdoutIs(answer);
      }
    },
  );

  test("s6-tcprulescheck allows a client without a rule in a ucspi-tcp file", async () => {
    await using scene = await newScene({ files: { "rules.cdb": cdbBytes([["1.", "D\0"]]) } });
    (await scene.run(NAME, ["rules.cdb"])).exits(EXIT.ok);
    const run = await scene.run(NAME, ["rules.cdb"], { env: { TCPREMOTEIP: "2.2.2.2" } });
    run.exits(EXIT.ok).stdoutIs("default:\nallow connection\n");
  });
});

describe("rules of s6", () => {
  const rules = cdbBytes([
    ["ip4/1.0.0.0_8", "A\0\x07A=b\0CD\0\0\0"],
    ["ip4/1.2.0.0_16", "D"],
    ["ip6/2001:db8::_32", "A\0\0\0\0"],
    ["reversedns/example.org", "A\0\0\0\0"],
    ["uid/0", "A\0\0\0\0"],
  ]);

  test.each([
    [
      "an address",
      { TCPREMOTEIP: "1.3.3.3" },
      "rule ip4/1.0.0.0_8:\nset environment variable A=b\nunset environment variable CD\n" +
        "allow connection\n",
    ],
    ["a narrower network", { TCPREMOTEIP: "1.2.3.4" }, "rule ip4/1.2.0.0_16:\ndeny connection\n"],
    [
      "an IPv6 address, however it is written",
      { TCPREMOTEIP: "2001:0DB8:0::1" },
      "rule ip6/2001:db8::_32:\nallow connection\n",
    ],
    [
      "a name, where no network decides",
      { TCPREMOTEIP: "2.2.2.2", TCPREMOTEHOST: "www.example.org." },
      "rule reversedns/example.org:\nallow connection\n",
    ],
    ["whom no rule names", { TCPREMOTEIP: "2.2.2.2" }, "default:\ndeny connection\n"],
  ])("s6-tcprulescheck finds the rule for a client: %s", async (_, env, answer) => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    (await scene.run(NAME, ["rules.cdb"], { env })).exits(EXIT.ok).stdoutIs(answer).stderrIs("");
  });

  test("s6-tcprulescheck --format reads the file in the format that is given", async () => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    const env = { TCPREMOTEIP: "1.3.3.3" };
    const djb = await scene.run(NAME, ["--format=djb", "rules.cdb"], { env });
    djb.exits(EXIT.ok).stdoutIs("default:\nallow connection\n");
    const s6 = await scene.run(NAME, ["--format", "s6", "rules.cdb"], { env });
    s6.exits(EXIT.ok).stdoutMatches(/^rule ip4\/1\.0\.0\.0_8:\n/);
  });

  test("s6-tcprulescheck refuses something that is no address", async () => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    const run = await scene.run(NAME, ["rules.cdb"], { env: { TCPREMOTEIP: "1.2.3" } });
    run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: not an IP address: 1.2.3\n`);
  });

  test("s6-tcprulescheck fails for an address whose rule is damaged", async () => {
    const bad = cdbBytes([["ip4/1.2.3.4_32", "A"]]);
    await using scene = await newScene({ files: { "rules.cdb": bad } });
    const run = await scene.run(NAME, ["rules.cdb"], { env: { TCPREMOTEIP: "1.2.3.4" } });
    run.exits(EXIT.system).stdoutIs("");
    run.stderrMatches(/^s6-tcprulescheck: fatal: ip4\/1\.2\.3\.4_32: [^\n]+\n$/);
  });
});

describe("rules of s6 by certificate", () => {
  const rules = cdbBytes([
    ["ip4/0.0.0.0_0", "A\0\0\0\0"],
    ["clientcert/none", "D"],
    [`clientcert/sha256:${"0a".repeat(32)}`, "D"],
    ["clientcert/uri:spiffe:%2F%2Fa.example%2Fdb", "A\0\x08ROLE=db\0\0\0"],
    ["clientcert/dns:lost.example", "D"],
    ["clientcert/subject:C=US, CN=Joe", "A\0\0\0\0"],
    ["clientcert/dns:broken.example", "A"],
  ]);
  const allowed =
    "rule clientcert/uri:spiffe:%2F%2Fa.example%2Fdb:\nset environment variable ROLE=db\n" +
    "allow connection\n";

  test.each([
    ["no certificate", ["none"], "rule clientcert/none:\ndeny connection\n"],
    ["a URI as it stands", ["uri:spiffe://a.example/db"], allowed],
    ["a URI as in the key", ["uri:spiffe:%2F%2Fa.example%2Fdb"], allowed],
    [
      "a fingerprint as openssl prints it, before all else",
      [`sha256:${"0A:".repeat(32).slice(0, -1)}`, "uri:spiffe://a.example/db"],
      `rule clientcert/sha256:${"0a".repeat(32)}:\ndeny connection\n`,
    ],
    [
      "two names, one of them denied",
      ["uri:spiffe://a.example/db", "dns:LOST.example"],
      "rule clientcert/dns:lost.example:\ndeny connection\n",
    ],
    [
      "a subject",
      ["subject:C=US, CN=Joe"],
      "rule clientcert/subject:C=US, CN=Joe:\nallow connection\n",
    ],
    ["what no rule is about", ["dns:b.example"], "default:\ndeny connection\n"],
  ])("s6-tcprulescheck finds the rule for a client: %s", async (_, facts, answer) => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    const words = facts.flatMap((fact) => ["--client-cert", fact]);
    (await scene.run(NAME, [...words, "rules.cdb"])).exits(EXIT.ok).stdoutIs(answer).stderrIs("");
  });

  test("s6-tcprulescheck fails for a certificate with a name whose rule is damaged", async () => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    const run = await scene.run(NAME, ["--client-cert=dns:broken.example", "rules.cdb"]);
    run.exits(EXIT.system).stdoutIs("");
    run.stderrMatches(/^s6-tcprulescheck: fatal: clientcert\/dns:broken\.example: [^\n]+\n$/);
  });

  test("s6-tcprulescheck fails for a certificate with rules of ucspi-tcp, which have none for certificates", async () => {
    await using scene = await newScene({ files: { "rules.cdb": DJB } });
    const run = await scene.run(NAME, ["--client-cert=none", "rules.cdb"]);
    run.exits(EXIT.usage).stdoutIs("");
    run.stderrIs(`${NAME}: fatal: rules for ucspi-tcp know no client certificates\n`);
  });
});

test("s6-tcprulescheck reads the files that s6-tcprules makes, in either format", async () => {
  await using scene = await newScene();
  const env = { TCPREMOTEIP: "1.2.3.4" };
  for (const [format, rule] of [
    ["s6", "ip4/1.2.3.0_24"],
    ["djb", "1.2.3."],
  ]) {
    const input = '1.2.3.:allow,A="b"\n';
    (await scene.run("s6-tcprules", [`--format=${format}`, "rules.cdb"], { input })).exits(EXIT.ok);
    const run = await scene.run(NAME, ["rules.cdb"], { env });
    run.stdoutIs(`rule ${rule}:\nset environment variable A=b\nallow connection\n`);
  }
});

test.each([
  ["nowhere", "No such file or directory"],
  ["directory", "Is a directory"],
  ["empty.cdb", "the file is empty"],
  ["cut.cdb", "shorter than a CDB header"],
])("s6-tcprulescheck %s exits 111 and reports the error", async (file, why) => {
  const files = { "directory/": "", "empty.cdb": "", "cut.cdb": DJB.subarray(0, 100) };
  await using scene = await newScene({ files });
  const run = await scene.run(NAME, [file]);
  run.exits(EXIT.system).stdoutIs("").stderrIs(`${NAME}: fatal: unable to read ${file}: ${why}\n`);
});

test.each([
  [[], "missing operand"],
  [["rules.cdb", "more"], "unexpected operand: more"],
  [["--format=C", "rules.cdb"], "format must be one of s6, djb: C"],
  [["-x", "rules.cdb"], "unrecognized short option: x"],
  [["--client-cert=none", "--client-cert=dns:a", "rules.cdb"], "client-cert none stands alone"],
  ...["any", "dns:", "ip:10.0.0.0/8", "sha256:0a", "uri:100%"].map((fact): [string[], string] => [
    [`--client-cert=${fact}`, "rules.cdb"],
    "client-cert must be none, or sha256:, dns:, email:, uri:, ip: or subject: and a value " +
      `that has a key: ${fact}`,
  ]),
])("s6-tcprulescheck %j is a usage error", async (words, problem) => {
  await using scene = await newScene({ files: { "rules.cdb": DJB } });
  const run = await scene.run(NAME, words);
  run.exits(EXIT.usage).stdoutIs("");
  expect(run.stderr.split("\n")[0]).toBe(`${NAME}: fatal: ${problem}`);
});
