import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CertProblem, fileNameOf, parseClientName, parseServerName } from "../../src/cert/index.ts";

/** The problem that `work` ends with, as it is told. */
function problemOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof CertProblem) return error.message;
    throw error;
  }
  return "";
}

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,9}(?:-[a-z0-9]{1,9})?$/);
const hostName = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));

describe("names of servers", () => {
  test.each([
    ["Example.ORG", "dns", "example.org"],
    ["localhost", "dns", "localhost"],
    ["*.Example.org", "dns", "*.example.org"],
    ["Example.org.", "dns", "example.org"],
    ["*.example.org.", "dns", "*.example.org"],
    ["192.0.2.1.", "ip", "192.0.2.1"],
    ["xn--bcher-kva.example", "dns", "xn--bcher-kva.example"],
    ["192.0.2.1", "ip", "192.0.2.1"],
    ["2001:DB8:0:0::1", "ip", "2001:db8::1"],
  ])("the name of a server %s is accepted", (text, type, value) => {
    expect(parseServerName(text)).toEqual({ type, value });
  });

  test.each([
    ["", /: "" is no label/],
    ["bücher.example", /xn--/],
    [".", /: "" is no label/],
    ["example.org..", /: "" is no label/],
    ["*.org.", /top-level/],
    ["\u212aelvin.example", /xn--/],
    ["*.org", /top-level/],
    ["*", /no label/],
    ["a.*.org", /no label/],
    ["w*.example.org", /no label/],
    ["-a.org", /no label/],
    ["a_b.org", /no label/],
    ["a..org", /no label/],
    ["a/../b", /no label/],
    ["1.2.3", /neither/],
    ["192.0.2.256", /neither/],
    [`${"a".repeat(64)}.org`, /no label/],
    [`${"a.".repeat(127)}org`, /longer than 253/],
  ])("the name %j is refused", (text, why) => {
    expect(problemOf(() => parseServerName(text))).toMatch(why);
  });

  test("names of servers of any labels are accepted, and stay what they are", () => {
    fc.assert(
      fc.property(hostName, fc.boolean(), (host, isWildcard) => {
        const name = isWildcard && host.includes(".") ? `*.${host}` : host;
        expect(parseServerName(name.toUpperCase())).toEqual({ type: "dns", value: name });
      }),
    );
  });

  test("names of servers are names of files without a path in them, and refusals are one printable line", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string()), (text) => {
        const problem = problemOf(() => {
          expect(fileNameOf(parseServerName(text).value)).toMatch(/^[a-z0-9_:][a-z0-9._:-]*$/);
        });
        expect(problem).not.toMatch(/\p{C}/u);
      }),
    );
  });
});

describe("names of clients", () => {
  test("names of clients with an @ are addresses too", () => {
    expect(parseClientName("alice@example.org").names).toEqual([
      { type: "email", value: "alice@example.org" },
    ]);
    expect(parseClientName("Alice B. Example").names).toEqual([]);
  });

  test.each([
    "",
    "..",
    ".a",
    "a/b",
    "a\nb",
    "ä",
    "a@",
    "@b",
    "a@b@c",
    "a@b..c",
    "a ",
    "x".repeat(65),
  ])("the name %j is refused", (text) => {
    expect(problemOf(() => parseClientName(text))).toMatch(/^not a client's name: /);
  });

  test("names of clients are names of files without a path in them", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        problemOf(() => {
          expect(fileNameOf(parseClientName(text).commonName)).toMatch(/^[\w+@-][\w.+@-]*$/);
        });
      }),
    );
  });
});
