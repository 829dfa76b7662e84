/** The decision about a client, by the verdict of the rules, the options and the look-ups. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Rules, Verdict } from "../../src/access/index.ts";
import { Environment } from "../../src/chain/index.ts";
import type { Launch, Outcome } from "../../src/chain/index.ts";
import { defineLink, parseLink } from "../../src/chain/index.ts";
import { ACCESS_OPTIONS, admit, readClient } from "../../src/ucspi/index.ts";
import type { IpAddress } from "../../src/net/index.ts";
import { startDnsServer } from "../support/dns-server.ts";
import type { DnsServer } from "../support/dns-server.ts";
import { fakeWorld } from "./fake-context.ts";

const COMMAND = "s6-tcpserver-access";

const allow: Verdict = { kind: "allow", edits: [], exec: undefined, rule: "ip4/192.0.2.7_32" };
const deny: Verdict = { kind: "deny", rule: "ip4/192.0.2.0_24" };
const notFound: Verdict = { kind: "notFound" };
const damaged: Verdict = {
  kind: "error",
  why: "unable to read rules.cdb",
  code: "EIO",
  rule: undefined,
};

/** Rules with one verdict for every address and one for every name. */
class FixedRules implements Rules {
  readonly names: string[] = [];
  readonly addresses: IpAddress[] = [];
  readonly #byIp: Verdict;
  readonly #byName: Verdict;

  constructor(byIp: Verdict, byName: Verdict = notFound) {
    this.#byIp = byIp;
    this.#byName = byName;
  }

  probe(): Verdict {
    return notFound;
  }

  checkIp(ip: IpAddress): Verdict {
    this.addresses.push(ip);
    return this.#byIp;
  }

  checkReverseDns(name: string): Verdict {
    this.names.push(name);
    return this.#byName;
  }

  checkUidGid(): Verdict {
    return notFound;
  }
}

/** The command line of s6-tcpserver-access, for its options. */
const words = defineLink({
  name: COMMAND,
  summary: "",
  family: "short",
  options: ACCESS_OPTIONS,
  operands: [],
  program: "required",
  reach: "identity",
  run: () => ({ kind: "ended", exitCode: 0 }),
});

let dns: DnsServer;

beforeEach(async () => {
  dns = await startDnsServer();
});

afterEach(async () => {
  await dns[Symbol.asyncDispose]();
});

function access(options: string, rules?: Rules, variables: readonly string[] = []) {
  const world = fakeWorld();
  const environment = Environment.of([
    ...variables,
    `DNSCACHEIP=${dns.address}`,
    "PROTO=TCP",
    "TCPLOCALIP=192.0.2.1",
    "TCPLOCALPORT=80",
    "TCPREMOTEIP=192.0.2.7",
    "TCPREMOTEPORT=50000",
    "TCPREMOTEHOST=stale.",
    "TCPLOCALHOST=stale.",
    "TCPREMOTEINFO=stale",
  ]);
  const program = ["cat"];
  const launch: Launch = { argv: program, environment, descriptors: new Map(), limits: new Map() };
  const given = options === "" ? [] : options.split(" ");
  const parsed = parseLink(words, [...given, "cat"]).words.options;
  const client = readClient((name) => environment.get(name), COMMAND, 4000);
  const outcome = admit({
    launch,
    program,
    client,
    options: parsed,
    rules,
    context: world.context,
  });
  return { ...world, outcome };
}

/** `end CODE`, or the names and the program that the client gets. */
async function resultOf(outcome: Outcome | Promise<Outcome>): Promise<string> {
  const result = await outcome;
  if (result.kind === "ended") return `end ${result.exitCode}`;
  const { environment, argv } = result.launch;
  const known = ["REMOTEHOST", "LOCALHOST", "REMOTEINFO"].flatMap((name) => {
    const value = environment.get(`TCP${name}`);
    return value === undefined ? [] : [`${name}=${value}`];
  });
  return [...argv, ...known].join(" ");
}

describe("rules without look-ups", () => {
  test.each([
    ["no rules", undefined, "cat"],
    ["allow", allow, "cat"],
    ["deny", deny, "end 1"],
    ["nothing matches", notFound, "end 1"],
    ["an error", damaged, "end 111"],
  ])("the rules alone decide on a client without look-ups: %s", async (_, verdict, expected) => {
    const { outcome } = access("-H", verdict && new FixedRules(verdict));
    expect(outcome).not.toBeInstanceOf(Promise);
    expect(await resultOf(outcome)).toBe(expected);
    expect(dns.queries).toEqual([]);
  });
});

test("an IPv4-mapped address is checked as it is, or with --unmap as the IPv4 address", () => {
  const mapped = ["TCPREMOTEIP=::ffff:192.0.2.7"];
  const families = ["-H", "-H --unmap"].map((options) => {
    const rules = new FixedRules(deny);
    access(options, rules, mapped);
    return rules.addresses.map(({ family }) => family);
  });
  expect(families).toEqual([[6], [4]]);
});

describe("look-ups", () => {
  test("the names of a client that a rule denies are not looked up", async () => {
    expect(await resultOf(access("", new FixedRules(deny)).outcome)).toBe("end 1");
    expect(await resultOf(access("-r -p", new FixedRules(damaged)).outcome)).toBe("end 111");
    expect(dns.queries).toEqual([]);
  });

  test("the names of both ends are looked up, and old values are removed", async () => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["Client.example.com"]);
    dns.records("1.2.0.192.in-addr.arpa", "PTR", ["server.example.com"]);
    expect(await resultOf(access("").outcome)).toBe(
      "cat REMOTEHOST=client.example.com. LOCALHOST=server.example.com.",
    );
  });

  test("only the remote name is looked up with -l", async () => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);
    expect(await resultOf(access("-l me").outcome)).toBe(
      "cat REMOTEHOST=client.example.com. LOCALHOST=me",
    );
    expect(dns.queries.map(({ name }) => name)).toEqual(["7.2.0.192.in-addr.arpa"]);
  });

  test("the option -l applies with -H too", async () => {
    expect(await resultOf(access("-H -l me").outcome)).toBe("cat LOCALHOST=me");
  });

  test("the option -p looks up names in spite of -H", async () => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);
    dns.records("client.example.com", "A", ["192.0.2.9", "192.0.2.7"]);
    expect(await resultOf(access("-H -p").outcome)).toBe("cat REMOTEHOST=client.example.com.");
  });
});

describe("a client that only its name can admit", () => {
  const named = (): void => dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);

  test.each([
    ["allow", allow, "cat REMOTEHOST=client.example.com."],
    ["deny", deny, "end 1"],
    ["notFound", notFound, "end 1"],
    ["error", damaged, "end 111"],
  ])("the name of a client decides where its address does not: %s", async (_, byName, expected) => {
    named();
    const rules = new FixedRules(notFound, byName);
    expect(await resultOf(access("", rules).outcome)).toBe(expected);
    expect(rules.names).toEqual(["client.example.com."]);
  });

  test("a client that only its name can admit is refused when it has none", async () => {
    const rules = new FixedRules(notFound, allow);
    expect(await resultOf(access("", rules).outcome)).toBe("end 1");
    expect(rules.names).toEqual([]);
  });

  test("a client that only its name can admit is refused when its name does not map back", async () => {
    named();
    dns.records("client.example.com", "A", ["192.0.2.8"]);
    const rules = new FixedRules(notFound, allow);
    expect(await resultOf(access("-p", rules).outcome)).toBe("end 1");
    expect(rules.names).toEqual([]);
  });
});

describe("the paranoid check", () => {
  const named = (): void => dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);
  const other = (): void => dns.records("client.example.com", "A", ["192.0.2.8"]);
  const broken = (): void =>
    dns.answer("client.example.com", "A", { kind: "rcode", rcode: "SERVFAIL" });
  const reverseBroken = (): void =>
    dns.answer("7.2.0.192.in-addr.arpa", "PTR", { kind: "rcode", rcode: "SERVFAIL" });

  test.each([
    ["a name that does not map back", "-p", [named, other], "cat"],
    ["the same, strictly", "-p -w", [named, other], "cat"],
    ["the same, where a name is required", "-p --require-name", [named, other], "end 1"],
    ["a name that does not exist", "-p", [named], "cat"],
    ["the same, strictly", "-p -w", [named], "end 1"],
    ["a failing forward look-up", "-p", [named, broken], "cat"],
    ["the same, strictly", "-p -w", [named, broken], "end 111"],
    ["no name at all, strictly", "-p -w", [], "end 1"],
    ["a failing reverse look-up, strictly", "-p -w", [reverseBroken], "end 111"],
    ["the same without -p is tolerated", "-w", [reverseBroken], "cat"],
    ["no name where one is required", "--require-name", [], "end 1"],
    [
      "a name where one is required",
      "--require-name",
      [named],
      "cat REMOTEHOST=client.example.com.",
    ],
  ])(
    "the paranoid check with %s, under %s, has its outcome",
    async (_, options, prepare, expected) => {
      for (const step of prepare) step();
      expect(await resultOf(access(options, new FixedRules(allow)).outcome)).toBe(expected);
    },
  );
});

describe("a DNS that does not answer", () => {
  function silence(): void {
    dns.answer("7.2.0.192.in-addr.arpa", "PTR", { kind: "silence" });
  }

  test.each([
    ["-t 500", "cat LOCALHOST=me"],
    ["-t 500 -w", "cat LOCALHOST=me"],
    ["-t 500 -p", "cat LOCALHOST=me"],
    ["-t 500 -p -w", "end 99"],
    ["-t 500 --hard-timeout", "end 99"],
    ["-t 500 --require-name", "end 1"],
  ])("a DNS that does not answer has with %s the outcome: %s", async (options, expected) => {
    silence();
    const { outcome, clock } = access(`-l me ${options}`, new FixedRules(allow));
    await dns.received(1);
    clock.advance(500);
    expect(await resultOf(outcome)).toBe(expected);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a DNS that does not answer refuses a client that only a name could admit", async () => {
    silence();
    const { outcome, clock } = access("-l me -t 500", new FixedRules(notFound, allow));
    await dns.received(1);
    clock.advance(500);
    expect(await resultOf(outcome)).toBe("end 1");
  });
});

describe("IDENT", () => {
  test.each([
    ["-r -H", "cat", []],
    ["-r -H -w", "end 111", ["fatal"]],
    ["-r -H -v3", "cat", ["warning", "info"]],
  ])(
    "an IDENT query that cannot be made has the outcome of %s",
    async (options, expected, kinds) => {
      const { outcome, said } = access(`-v0 ${options}`, new FixedRules(allow));
      expect(await resultOf(outcome)).toBe(expected);
      expect(said.map((line) => line.split(": ")[2])).toEqual(kinds);
    },
  );
});

describe("additions of a rule", () => {
  test("a rule adds its variables, which those that are looked up override", async () => {
    const edits = [
      { name: "A", value: "b" },
      { name: "PATH", value: undefined },
      { name: "TCPLOCALHOST", value: "of the rule" },
      { name: "TCPREMOTEINFO", value: "of the rule" },
    ];
    const { outcome } = access("-H -l me", new FixedRules({ ...allow, edits }), ["PATH=/bin"]);
    const result = await outcome;
    const environment = result.kind === "continue" ? result.launch.environment : undefined;
    const names = ["A", "PATH", "TCPLOCALHOST", "TCPREMOTEINFO"];
    expect(names.map((name) => environment?.get(name))).toEqual(["b", undefined, "me", undefined]);
  });

  test("a rule adds its script in place of the program", async () => {
    const exec = new TextEncoder().encode("echo hello");
    const result = await access("-H", new FixedRules({ ...allow, exec })).outcome;
    expect(result.kind === "continue" && result.launch.argv).toEqual([
      "execlineb",
      "-c",
      "echo hello",
    ]);
  });

  test("the same script is the same words, so that its chain is compiled once", async () => {
    const rules = new FixedRules({ ...allow, exec: new TextEncoder().encode("echo x") });
    const [first, second] = await Promise.all([
      access("-H", rules).outcome,
      access("-H", rules).outcome,
    ]);
    expect(first.kind === "continue" && second.kind === "continue").toBe(true);
    if (first.kind === "continue" && second.kind === "continue") {
      expect(first.launch.argv).toBe(second.launch.argv);
    }
  });
});

describe("the log", () => {
  const prefix = `${COMMAND}: pid 4000: info:`;

  test.each([
    ["-v0", allow, []],
    ["-v1", allow, [`${prefix} allow pid 4000 ip 192.0.2.7`]],
    ["-v1", deny, []],
    ["-v2", deny, [`${prefix} deny pid 4000 ip 192.0.2.7`]],
    ["-v0", damaged, [`${COMMAND}: pid 4000: fatal: unable to read rules.cdb: strerror of EIO`]],
    [
      "-v0",
      { ...deny, fault: { kind: "error", why: "unable to read deny", code: "EACCES" } } as const,
      [`${COMMAND}: pid 4000: warning: unable to read deny: strerror of EACCES`],
    ],
    [
      "-v1 --refusals=text",
      deny,
      [`${prefix} refused ip 192.0.2.7 port 50000 by rule: ip4/192.0.2.0_24`],
    ],
  ])(
    "s6-tcpserver-access %s logs the lines of its verbosity (%#)",
    async (options, verdict, expected) => {
      const { outcome, said } = access(`-H ${options}`, new FixedRules(verdict));
      await outcome;
      expect(said).toEqual(expected);
    },
  );

  test("a refusal as JSON is a line without a name in front", async () => {
    const { outcome, said } = access("-H --refusals=json", new FixedRules(notFound));
    await outcome;
    expect(JSON.parse(said.at(-1) ?? "")).toMatchObject({
      event: "refused",
      remoteIp: "192.0.2.7",
      by: "rule",
      reason: "no rule matches",
    });
  });

  test("rules that are unusable are recorded as the reason of the refusal, as text", async () => {
    const rule = "ip4/192.0.2.7_32";
    const { outcome, said } = access(
      "-H -v2 --refusals=text",
      new FixedRules({ ...damaged, rule }),
    );
    expect(await resultOf(outcome)).toBe("end 111");
    const reason = "unable to read rules.cdb: strerror of EIO (rule ip4/192.0.2.7_32)";
    expect(said).toEqual([
      `${COMMAND}: pid 4000: fatal: ${reason}`,
      `${prefix} deny pid 4000 ip 192.0.2.7`,
      `${prefix} refused ip 192.0.2.7 port 50000 by error: ${reason}`,
    ]);
  });

  test("rules that are unusable are recorded as the reason of the refusal, as JSON", async () => {
    const { outcome, said } = access("-H --refusals=json", new FixedRules(damaged));
    expect(await resultOf(outcome)).toBe("end 111");
    expect(JSON.parse(said.at(-1) ?? "")).toMatchObject({
      event: "refused",
      by: "error",
      reason: "unable to read rules.cdb: strerror of EIO",
    });
  });

  test("rules for names that are unusable are recorded too", async () => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);
    const { outcome, said } = access("--refusals=text", new FixedRules(notFound, damaged));
    expect(await resultOf(outcome)).toBe("end 111");
    expect(said.at(-1)).toBe(
      `${prefix} refused ip 192.0.2.7 port 50000 by error: unable to read rules.cdb: strerror of EIO`,
    );
  });

  test.each([
    ["", notFound, notFound, "no rule matches the address or the host name"],
    ["", notFound, deny, "ip4/192.0.2.0_24"],
  ])("a refusal by name names the rule: %s%j%j", async (options, byIp, byName, reason) => {
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["client.example.com"]);
    const { outcome, said } = access(
      `--refusals=text ${options}`.trim(),
      new FixedRules(byIp, byName),
    );
    expect(await resultOf(outcome)).toBe("end 1");
    expect(said).toEqual([`${prefix} refused ip 192.0.2.7 port 50000 by rule: ${reason}`]);
  });
});

describe("the connection itself", () => {
  test("a connection gets the banners before anything is decided, whole", async () => {
    const long = "x".repeat(300);
    const { outcome, kernel } = access(`-H -B a -B ${long}`, new FixedRules(deny));
    expect(await resultOf(outcome)).toBe("end 1");
    expect(kernel.written.get(1)).toBe(`a${long}`);
  });

  test("a connection ends when the banner cannot be written", async () => {
    const { kernel, context, said } = fakeWorld();
    kernel.writeFailure = "EPIPE";
    const environment = Environment.of([
      "PROTO=TCP",
      "TCPLOCALIP=::1",
      "TCPLOCALPORT=80",
      "TCPREMOTEIP=::1",
      "TCPREMOTEPORT=1",
    ]);
    const launch: Launch = {
      argv: ["cat"],
      environment,
      descriptors: new Map(),
      limits: new Map(),
    };
    const client = readClient((name) => environment.get(name), COMMAND, 4000);
    const options = parseLink(words, ["-H", "-B", "hello", "cat"]).words.options;
    const request = { launch, program: ["cat"], client, options, rules: undefined, context };
    expect(await resultOf(admit(request))).toBe("end 111");
    kernel.writeFailure = undefined;
    kernel.isStuck = true;
    expect(await resultOf(admit(request))).toBe("end 111");
    expect(said).toEqual([
      `${COMMAND}: pid 4000: fatal: unable to write banner: strerror of EPIPE`,
      `${COMMAND}: pid 4000: fatal: unable to write banner: strerror of ETIMEDOUT`,
    ]);
  });

  test("a connection gets TCP_NODELAY with -D", async () => {
    const { outcome, kernel } = access("-H -D");
    await outcome;
    expect(kernel.noDelay).toEqual([1]);
    expect(access("-H").kernel.noDelay).toEqual([]);
  });
});

test.each([
  ["PROTO", "PROTO not set"],
  ["TCPLOCALPORT", "TCPLOCALPORT not set"],
])("a connection without %s is an error", (missing, message) => {
  const variables: Readonly<Record<string, string>> = {
    PROTO: "TCP",
    TCPLOCALIP: "::1",
    TCPLOCALPORT: "80",
    TCPREMOTEIP: "::1",
    TCPREMOTEPORT: "1",
  };
  const read = (name: string): string | undefined =>
    name === missing ? undefined : variables[name];
  expect(() => readClient(read, COMMAND, 1)).toThrow(message);
});
