import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { formatIdentAnswer, isIdentUser, isOperatingSystem } from "../../src/ident/answer.ts";
import { parseIdentReply, readIdentReply } from "../../src/ident/reply.ts";

const PORTS = { remote: 6193, local: 23 };

describe("an answer", () => {
  test("names the user", () => {
    const answer = { kind: "user", user: "stjohns" } as const;
    expect(formatIdentAnswer(PORTS, answer).toString()).toBe(
      "6193 , 23 : USERID : UNIX : stjohns\r\n",
    );
    expect(formatIdentAnswer(PORTS, answer, "OTHER,UTF-8").toString()).toBe(
      "6193 , 23 : USERID : OTHER,UTF-8 : stjohns\r\n",
    );
  });

  test("says why it does not", () => {
    const answer = { kind: "error", token: "HIDDEN-USER" } as const;
    expect(formatIdentAnswer(PORTS, answer).toString()).toBe("6193 , 23 : ERROR : HIDDEN-USER\r\n");
  });

  test("is never made of what would break the line", () => {
    const user = { kind: "user", user: "a\r\nb" } as const;
    expect(() => formatIdentAnswer(PORTS, user)).toThrow(RangeError);
    expect(() => formatIdentAnswer(PORTS, { kind: "user", user: "a" }, "UN:IX")).toThrow(
      RangeError,
    );
  });

  test("is understood by our client, whatever the user is called", () => {
    const user = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 100 })
      .map((text) => text.replace(/\p{Cc}/gu, "_").slice(0, 100));
    fc.assert(
      fc.property(user, (name) => {
        const line = formatIdentAnswer(PORTS, { kind: "user", user: name });
        expect(readIdentReply(line, PORTS)).toEqual({ kind: "user", user: name });
      }),
    );
  });

  test.each(["INVALID-PORT", "NO-USER", "HIDDEN-USER", "UNKNOWN-ERROR"] as const)(
    "%s is understood by our client",
    (token) => {
      const line = formatIdentAnswer(PORTS, { kind: "error", token });
      expect(parseIdentReply(line.subarray(0, -1), PORTS)).toMatchObject({ kind: "error" });
    },
  );
});

test.each(["a", "a b", "é", "\udcff", "x".repeat(511)])("%j can be told", (user) => {
  expect(isIdentUser(user)).toBe(true);
});

test.each(["", "a\n", "a\0", "\t", "a\x7f", "x".repeat(512), "é".repeat(256)])(
  "%j cannot be told",
  (user) => {
    expect(isIdentUser(user)).toBe(false);
  },
);

test.each(["UNIX", "OTHER", "UNIX,UTF-8", "UNIX , UTF-8"])("%j is a system", (text) => {
  expect(isOperatingSystem(text)).toBe(true);
});

test.each(["", "a:b", "a b", " UNIX", "UNIX\r\n", "x".repeat(65)])("%j is no system", (text) => {
  expect(isOperatingSystem(text)).toBe(false);
});
