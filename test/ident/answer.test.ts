import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { formatIdentAnswer, isIdentUser, isOperatingSystem } from "../../src/ident/answer.ts";
import { parseIdentReply, readIdentReply } from "../../src/ident/reply.ts";

const PORTS = { remote: 6193, local: 23 };

describe("an answer", () => {
  test("an answer names the user", () => {
    const answer = { kind: "user", user: "stjohns" } as const;
    expect(formatIdentAnswer(PORTS, answer).toString()).toBe(
      "6193 , 23 : USERID : UNIX : stjohns\r\n",
    );
    expect(formatIdentAnswer(PORTS, answer, "OTHER,UTF-8").toString()).toBe(
      "6193 , 23 : USERID : OTHER,UTF-8 : stjohns\r\n",
    );
  });

  test("an answer without a user gives the reason", () => {
    const answer = { kind: "error", token: "HIDDEN-USER" } as const;
    expect(formatIdentAnswer(PORTS, answer).toString()).toBe("6193 , 23 : ERROR : HIDDEN-USER\r\n");
  });

  test("an answer never contains a byte that would break the line", () => {
    const user = { kind: "user", user: "a\r\nb" } as const;
    expect(() => formatIdentAnswer(PORTS, user)).toThrow(RangeError);
    expect(() => formatIdentAnswer(PORTS, { kind: "user", user: "a" }, "UN:IX")).toThrow(
      RangeError,
    );
  });

  test("an answer is parsed by our client, whatever the name of the user", () => {
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
    "the answer %s is parsed by our client",
    (token) => {
      const line = formatIdentAnswer(PORTS, { kind: "error", token });
      expect(parseIdentReply(line.subarray(0, -1), PORTS)).toMatchObject({ kind: "error" });
    },
  );
});

test.each(["a", "a b", "é", "\udcff", "x".repeat(511)])("the user name %j can be sent", (user) => {
  expect(isIdentUser(user)).toBe(true);
});

test.each(["", "a\n", "a\0", "\t", "a\x7f", "x".repeat(512), "é".repeat(256)])(
  "the user name %j cannot be sent",
  (user) => {
    expect(isIdentUser(user)).toBe(false);
  },
);

test.each(["UNIX", "OTHER", "UNIX,UTF-8", "UNIX , UTF-8"])(
  "the text %j is a valid operating system",
  (text) => {
    expect(isOperatingSystem(text)).toBe(true);
  },
);

test.each(["", "a:b", "a b", " UNIX", "UNIX\r\n", "x".repeat(65)])(
  "the text %j is no valid operating system",
  (text) => {
    expect(isOperatingSystem(text)).toBe(false);
  },
);
