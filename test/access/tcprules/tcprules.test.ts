import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cdb, RuleLineError } from "../../../src/access/index.ts";
import { checkDjbRules, checkS6Rules, detectRulesFormat } from "../../../src/access/index.ts";
import { compiled } from "./compiled.ts";

import type { RulesFormat } from "../../../src/access/index.ts";

/** The records as `key=value` with NUL shown as a dollar sign. */
function records(format: RulesFormat, text: string): string[] {
  const show = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1").replaceAll("\0", "$");
  const cdb = new Cdb(compiled(format, [text]).bytes);
  cdb.verify();
  return [...cdb.entries()].map(({ key, value }) => `${show(key)} -> ${show(value)}`);
}

function errorOf(format: RulesFormat, text: string): RuleLineError {
  try {
    compiled(format, [text]);
  } catch (error) {
    if (error instanceof RuleLineError) return error;
    throw error;
  }
  throw new Error(`There was no error in ${text}`);
}

describe("tcprules text for ucspi-tcp", () => {
  test.each<[string, string[]]>([
    [":allow", [" -> "]],
    [":deny", [" -> D$"]],
    ['127.:allow,B="x"', ["127. -> +B=x$"]],
    ['127.:deny,B="x",C=/a"b/', ['127. -> D$+B=x$+C=a"b$']],
    ["a:allow,D=,,", ["a -> +D=$"]],
    ['a:allow,=""', ["a -> +=$"]],
    ["1.2.3.37-39:deny", ["1.2.3.37 -> D$", "1.2.3.38 -> D$", "1.2.3.39 -> D$"]],
    ["1.2-3.4-5:allow", ["1.2.4-5 -> ", "1.3.4-5 -> "]],
    ["1.254-999.:deny", ["1.254. -> D$", "1.255. -> D$"]],
    ["1.-1:deny", ["1.0 -> D$", "1.1 -> D$"]],
    ["1.3-2:deny", []],
    ["1.3-:deny", []],
    ["007-8:deny", ["7 -> D$", "8 -> D$"]],
    ["18446744073709551617-2:deny", ["1 -> D$", "2 -> D$"]],
    ["=a-b.example:deny", ["=a-b.example -> D$"]],
    ["u-v@1.2.3.4:deny", ["u-v@1.2.3.4 -> D$"]],
    ["127.0.0.1 :allow", ["127.0.0.1  -> "]],
    ["10.0.0.0/8:deny", ["10.0.0.0/8 -> D$"]],
    ["#x:deny\n\t #y:deny\n \t\n\na:deny \t", ["\t #y -> D$", "a -> D$"]],
    ["a:allow\na:deny", ["a -> ", "a -> D$"]],
  ])("the text %j is compiled to the records that its format describes", (text, expected) => {
    expect(records("djb", text)).toEqual(expected);
    expect(records("djb", `${text}\n`)).toEqual(expected);
  });

  const NEITHER = "neither allow nor deny follows the colon";

  test.each([
    ["127.0.0.1: allow", NEITHER],
    ["a:allowed", `${NEITHER}, up to a comma or the end`],
    ["a:", NEITHER],
    ["a:deny,", "a variable has no = and no value"],
    ["a:allow,B", "a variable has no = and no value"],
    ["a:allow,B=", "a variable has no value in quotes"],
    [
      'a:allow,B="',
      "the byte that the value of a variable begins with, its quote, does not end it",
    ],
    [
      'a:allow,B="x',
      "the byte that the value of a variable begins with, its quote, does not end it",
    ],
    ['a:allow,B="x"y', "something other than a comma follows the value of a variable"],
    ["a:allow\r", `${NEITHER}, up to a comma or the end`],
    ["2001:db8::1:deny", NEITHER],
    ["a-3:allow", "a range is not of two numbers"],
    ["1.2-x:deny", "a range is not of two numbers"],
  ])("the text %j for ucspi-tcp cannot be parsed, with line number and reason", (line, why) => {
    const error = errorOf("djb", `x:allow\n${line}\ny:deny\n`);
    expect(error.message).toBe(`unable to parse this line: ${line} (line 2: ${why})`);
    expect(error.line).toBe(2);
  });

  test("a line without a colon is ignored with a warning", () => {
    const { warnings } = compiled("djb", ["allow\n#\n127.\n"]);
    expect(warnings).toEqual([
      "line 1 has no colon and is ignored: allow",
      "line 3 has no colon and is ignored: 127.",
    ]);
  });

  test.each(["djb", "s6"] as const)(
    "a range without an address has no effect in rules for %s, and a warning says so",
    (format) => {
      const { warnings } = compiled(format, [
        "5-1.2.3.4:deny\n1.300-310.:deny\n1.2-2.:allow\n:deny\n",
      ]);
      expect(warnings).toEqual([
        "line 1 has a range without an address and is ignored: 5-1.2.3.4:deny",
        "line 2 has a range without an address and is ignored: 1.300-310.:deny",
      ]);
    },
  );

  test("a line without an end is refused before it fills the memory", () => {
    const endless = Buffer.alloc(1 << 19, "x");
    expect(() => compiled("djb", [endless, endless, endless])).toThrow(RuleLineError);
  });
});

describe("tcprules text for s6", () => {
  const ALLOW = "A$$$$";

  test.each<[string, string[]]>([
    ["1.2.3.4:allow", [`ip4/1.2.3.4_32 -> ${ALLOW}`]],
    ["1.2.3.:deny", ["ip4/1.2.3.0_24 -> D"]],
    ["1.2.:deny", ["ip4/1.2.0.0_16 -> D"]],
    ["10.:deny", ["ip4/10.0.0.0_8 -> D"]],
    ["010.001.:deny", ["ip4/10.1.0.0_16 -> D"]],
    ["01.2.3.4:deny", ["ip4/1.2.3.4_32 -> D"]],
    ["10.0.0.0/8:deny", ["ip4/10.0.0.0_8 -> D"]],
    ["0.0.0.0/0:deny", ["ip4/0.0.0.0_0 -> D"]],
    ["1.2.3.4/32:deny", ["ip4/1.2.3.4_32 -> D"]],
    ["1.2.3.37-38:deny", ["ip4/1.2.3.37_32 -> D", "ip4/1.2.3.38_32 -> D"]],
    ["1.2-3.:deny", ["ip4/1.2.0.0_16 -> D", "ip4/1.3.0.0_16 -> D"]],
    ["2001:db8::1:allow", [`ip6/2001:db8::1_128 -> ${ALLOW}`]],
    ["2001:DB8::/32:deny", ["ip6/2001:db8::_32 -> D"]],
    ["[2001:db8::1]:allow", [`ip6/2001:db8::1_128 -> ${ALLOW}`]],
    ["[2001:db8::]/32:deny", ["ip6/2001:db8::_32 -> D"]],
    [":::deny", ["ip6/::_128 -> D"]],
    ["::/0:deny", ["ip6/::_0 -> D"]],
    ["::ffff:1.2.3.4:deny", ["ip6/::ffff:102:304_128 -> D"]],
    ["=Mail.Example.org:allow", [`reversedns/mail.example.org -> ${ALLOW}`]],
    ["=.example.org.:deny", ["reversedns/example.org -> D"]],
    ["=:deny", ["reversedns/@ -> D"]],
    [":deny", ["ip4/0.0.0.0_0 -> D", "ip6/::_0 -> D"]],
    ["1.:deny,A=xbx", ["ip4/1.0.0.0_8 -> D"]],
    ['1.:allow,A="b",C=""', ["ip4/1.0.0.0_8 -> A$\x07A=b$C=$$$"]],
    ['::1:allow,A=":allow"', ["ip6/::1_128 -> A$\x09A=:allow$$$"]],
    ["clientcert/none:deny", ["clientcert/none -> D"]],
    ["clientcert/@:allow", [`clientcert/@ -> ${ALLOW}`]],
    [
      `clientcert/sha256:${"0A:".repeat(32).slice(0, -1)}:allow`,
      [`clientcert/sha256:${"0a".repeat(32)} -> ${ALLOW}`],
    ],
    ["clientcert/dns:A.example:deny", ["clientcert/dns:a.example -> D"]],
    ["clientcert/email:joe@A.example:deny", ["clientcert/email:joe@a.example -> D"]],
    ["clientcert/ip:2001:DB8::1:deny", ["clientcert/ip:2001:db8::1 -> D"]],
    ["clientcert/uri:spiffe://a/b:deny", ["clientcert/uri:spiffe:%2F%2Fa%2Fb -> D"]],
    ["clientcert/uri:spiffe:%2F%2Fa%2fb:deny", ["clientcert/uri:spiffe:%2F%2Fa%2Fb -> D"]],
    ["clientcert/subject:C=US, CN=a b:deny", ["clientcert/subject:C=US, CN=a b -> D"]],
    ["clientcert/subject:CN=a%3Adeny, O=b:deny", ["clientcert/subject:CN=a:deny, O=b -> D"]],
    ["clientcert/dns:my-host.1-3.example:deny", ["clientcert/dns:my-host.1-3.example -> D"]],
    // Certificates are asked about apart from addresses: the order of the two does not matter.
    [
      ":allow\nclientcert/dns:a:deny",
      ["clientcert/dns:a -> D", `ip4/0.0.0.0_0 -> ${ALLOW}`, `ip6/::_0 -> ${ALLOW}`],
    ],
    // An address without a rule that allows is denied anyway, and the names are still looked up.
    [
      ":deny\n=a.example:allow\n=.a.example:allow",
      [`reversedns/a.example -> ${ALLOW}`, `reversedns/a.example -> ${ALLOW}`],
    ],
    [
      "=a.example:allow\n:allow",
      [`reversedns/a.example -> ${ALLOW}`, `ip4/0.0.0.0_0 -> ${ALLOW}`, `ip6/::_0 -> ${ALLOW}`],
    ],
    ["=a:deny\n=.a:deny", ["reversedns/a -> D", "reversedns/a -> D"]],
    ["1.2.3.4:allow\n=a.example:deny", [`ip4/1.2.3.4_32 -> ${ALLOW}`, "reversedns/a.example -> D"]],
    ["1.:allow\n=.a.example:deny", [`ip4/1.0.0.0_8 -> ${ALLOW}`, "reversedns/a.example -> D"]],
  ])("the text %j is compiled to the records that its format describes", (text, expected) => {
    expect(records("s6", text)).toEqual(expected);
    expect(records("s6", `${text}\n`)).toEqual(expected);
  });

  test.each([
    "user@1.2.3.4:deny",
    "1.2.3:deny",
    "1.2.3.4.:deny",
    "1.2.3.256:deny",
    "256.:deny",
    "1..2.:deny",
    ".1.:deny",
    "10.1.0.0/8:deny",
    "10.0.0.0/33:deny",
    "10.0.0.0/:deny",
    "1.2.3.4 :deny",
    "[1.2.3.4]:deny",
    "[2001:db8::1:deny",
    "2001:db8::1/:deny",
    "2001:db8:deny",
    "example.org:deny",
    "=*.example.org:deny",
    "=a/b:deny",
    "=a b:deny",
    "=..:deny",
    "=.:deny",
    "clientcert/:deny",
    "clientcert/any:deny",
    "clientcert/CN=a:deny",
    "clientcert/sha256:0a:deny",
    "clientcert/dns::deny",
    "clientcert/uri:100%:deny",
    "clientcert/ip:10.0.0.0/8:deny",
    `clientcert/uri:${"x".repeat(252)}:deny`,
    "127.",
    "a:b:denied",
    "2001:db8::1-5:deny",
    "1.2.3.4: deny",
    '1.:allow,="x"',
    `1.:allow,A="${"x".repeat(4096)}"`,
  ])("the text %j for s6 is refused by its line", (line) => {
    const error = errorOf("s6", `10.:allow\n${line}\n`);
    expect(error.line).toBe(2);
    expect(error.message.startsWith(`unable to parse this line: ${line} (line 2: `)).toBe(true);
  });

  test.each([
    ["a network admits a host that is denied by name", "10.:allow\n=bad.example:deny", 2],
    ["everybody is admitted before names are asked for", "=.bad.example:deny\n:allow", 1],
    ["a host and its domain differ", "=a.example:allow\n=.a.example:deny", 2],
    ["the names below a host would be admitted", "=b.c:allow\n:deny", 1],
    ["a host would be admitted with the names below it", ":deny\n=.b.c:allow", 2],
    ["the names below a host would be refused", "=:allow\n=b.c:deny\n:deny", 2],
    ["a narrower line has a wider one around it", "=b.c:allow\n=.b.c:allow\n=a.b.c:deny\n", 3],
    ["names below would have the variables of a host", '=b.c:allow,A="b"', 1],
  ])("text for s6 is refused, with line number and reason, where %s", (_, text, line) => {
    const error = errorOf("s6", text);
    expect(error.line).toBe(line);
    expect(error.message).toMatch(new RegExp(`^line ${line} [a-z]+ .*s6`));
  });

  test.each([
    ["the names below a host are refused anyway", "=b.c:deny\n:deny"],
    ["a host is as all other names", "=b.c:allow\n=:allow\n:deny"],
    ["a host is as the names below a wider one", "=.c:deny\n=c:deny\n=b.c:deny\n=:allow\n:deny"],
    ["no name is looked up", "=b.c:allow\n:allow"],
  ])("text for s6 that is about a host alone is compiled where %s", (_, text) => {
    expect(compiled("s6", [text]).bytes.length).toBeGreaterThan(2048);
  });

  const DEFAULT =
    /no line has an empty address: .* will be refused, and tcpserver would admit them/;

  test.each<[string, string, RegExp[]]>([
    [
      "a network refuses a host that is allowed by name",
      "10.:deny\n=a:allow\n=.a:allow\n:deny",
      [/^line 2 .*line 1 decides where both match$/],
    ],
    [
      "a network admits without the variables of the host",
      '10.:allow\n=a:allow,RELAY="x"\n=.a:allow,RELAY="x"\n:deny',
      [/^line 2 .*line 1 decides where both match$/],
    ],
    [
      "everybody is admitted without the variables of names",
      ':allow\n=a:allow,RELAY=""',
      [/^line 2 .*line 1 decides where both match$/],
    ],
    ["no line has an empty address", "10.:allow", [DEFAULT]],
    ["only one family has a network of all addresses", "0.0.0.0/0:allow", [DEFAULT]],
    ["names that no line is about are admitted", "=a:allow", [/^line 1 is about a alone/, DEFAULT]],
    [
      "nothing is allowed",
      "10.:deny",
      [/^no line allows anything: every .* refused, and tcpserver/],
    ],
    ["nothing is allowed by any line", ":deny", [/^no line allows anything: .* be refused$/]],
    ["a name has capitals", "=A:allow\n:allow", [/^line 1: =A is taken for =a, but tcpserver/]],
    ["a name ends in a dot", "=.a.:allow\n:allow", [/^line 1: =\.a\. is taken for =\.a, but/]],
    [
      "a number has leading zeros",
      "010.:allow\n:allow",
      [/^line 1: 010\. is taken for ip4\/10\.0/],
    ],
  ])("text for s6 gives a warning where %s", (_, text, warnings) => {
    expect(compiled("s6", [text]).warnings).toEqual(
      warnings.map((one): unknown => expect.stringMatching(one)),
    );
  });

  test.each(["10.:allow\n:deny", "0.0.0.0/0:allow\n::/0:deny", "clientcert/@:allow"])(
    "the text %j for s6 gives no warning",
    (text) => {
      expect(compiled("s6", [text]).warnings).toEqual([]);
    },
  );
});

describe("any chunking gives the same database", () => {
  const line = fc.oneof(
    fc.constantFrom("#c", "", " \t", "1.2.3.4:allow", "1.2.3.:deny", "10.0.0.1-9:deny"),
    fc.constantFrom("=a.example:allow", '192.0.2.7:allow,A="b"', "10.9.:deny,X=yzy", ":deny"),
    fc.constantFrom("2001:db8::1:deny", "::/0:deny", "[::1]:allow", "allow"),
  );

  test.each<RulesFormat>(["djb", "s6"])(
    "any chunking of text in the format %s gives the same database",
    (format) => {
      const pieces = fc.array(fc.nat(40), { maxLength: 40 });
      fc.assert(
        fc.property(
          fc.array(line, { maxLength: 30 }),
          fc.boolean(),
          pieces,
          (lines, ends, cuts) => {
            const text = lines.join("\n") + (ends ? "\n" : "");
            const chunks: string[] = [];
            let at = 0;
            for (const cut of cuts) chunks.push(text.slice(at, (at += cut)));
            chunks.push(text.slice(at));
            expect(outcome(format, chunks)).toEqual(outcome(format, [text]));
          },
        ),
      );
    },
  );

  test("any input is compiled or refused", () => {
    const bytes = fc.array(
      fc.constantFrom(
        ...'a:=-,.@#\n\0 1/[]"é'.split(""),
        ":allow",
        ":deny,A=",
        "clientcert/",
        "dns:",
      ),
    );
    fc.assert(
      fc.property(bytes, (parts) => {
        outcome("djb", [parts.join("")]);
        outcome("s6", [parts.join("")]);
      }),
      { numRuns: 1000 },
    );
  });
});

function outcome(format: RulesFormat, chunks: readonly string[]): unknown {
  try {
    return compiled(format, chunks);
  } catch (error) {
    if (error instanceof RuleLineError) return error.message;
    throw error;
  }
}

describe("looking up a client as tcpserver does", () => {
  const cdb = new Cdb(
    compiled("djb", [
      'joe@1.2.3.4:deny\njoe@=a.b.c:allow,I="1"\n1.2.3.4:allow,R="4"\n=a.b.c:deny\n' +
        "1.2.:deny\n=.b.c:allow\n=:deny\n:allow\n",
    ]).bytes,
  );

  test.each<[string, string, string | undefined, string | undefined, string]>([
    ["the answer of IDENT and the address", "1.2.3.4", "a.b.c", "joe", "joe@1.2.3.4 deny"],
    ["the answer of IDENT and the name", "9.9.9.9", "a.b.c", "joe", "joe@=a.b.c allow I=1"],
    ["the address", "1.2.3.4", "a.b.c", undefined, "1.2.3.4 allow R=4"],
    ["the name before the network", "1.2.9.9", "a.b.c", undefined, "=a.b.c deny"],
    ["the network before the domain", "1.2.9.9", "x.b.c", undefined, "1.2. deny"],
    ["the domain", "9.9.9.9", "x.b.c", undefined, "=.b.c allow"],
    ["any name", "9.9.9.9", "", undefined, "= deny"],
    ["a name with a dot at its end is another name", "9.9.9.9", "a.b.c.", undefined, "= deny"],
    ["nothing known", "9.9.9.9", undefined, undefined, " allow"],
  ])("a client is looked up by %s as tcpserver does", (_, ip, host, info, expected) => {
    const { rule, allow, edits } = checkDjbRules(cdb, { ip, host, info });
    const variables = edits.map(({ name, value }) => `${name}=${value}`);
    expect([rule, allow ? "allow" : "deny", ...variables].join(" ")).toBe(expected);
  });

  test("a client without a matching rule is allowed", () => {
    const empty = new Cdb(compiled("djb", [""]).bytes);
    expect(checkDjbRules(empty, { ip: "1.2.3.4", host: undefined, info: undefined })).toEqual({
      allow: true,
      rule: undefined,
      edits: [],
    });
  });

  test("the format of a database shows in its first key", () => {
    expect(detectRulesFormat(cdb)).toBe("djb");
    expect(detectRulesFormat(new Cdb(compiled("s6", ["1.:deny"]).bytes))).toBe("s6");
    expect(detectRulesFormat(new Cdb(compiled("djb", [""]).bytes))).toBe("s6");
  });

  test("rules of s6 are looked up by address, then by name", () => {
    const { bytes } = compiled("s6", ["1.:deny\n=.b.c:allow\n=b.c:allow\n"]);
    const host = "a.b.c";
    expect(checkS6Rules(bytes, { ip: "1.2.3.4", host, info: undefined })).toMatchObject({
      kind: "deny",
      rule: "ip4/1.0.0.0_8",
    });
    expect(checkS6Rules(bytes, { ip: "::1", host, info: undefined })).toMatchObject({
      kind: "allow",
      rule: "reversedns/b.c",
    });
    expect(checkS6Rules(bytes, { ip: "9.9.9.9", host: undefined, info: undefined }).kind).toBe(
      "notFound",
    );
    expect(checkS6Rules(bytes, { ip: "x", host, info: undefined }).kind).toBe("error");
  });
});
