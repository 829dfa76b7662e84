import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  formatIdentRequest,
  IDENT_REPLY_BYTES_MAX,
  parseIdentReply,
  readIdentReply,
} from "../../src/ident/reply.ts";
import { encodeBytes } from "../../src/posix/index.ts";

const PORTS = { remote: 6191, local: 23 };

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function parse(line: string) {
  return parseIdentReply(bytes(line), PORTS);
}

test("a query names the ports as the server sees them", () => {
  expect(formatIdentRequest(PORTS)).toBe("6191 , 23\r\n");
});

describe("a reply that names a user", () => {
  test.each([
    ["6191, 23 : USERID : UNIX : stjohns", "stjohns"],
    ["6191,23:USERID:UNIX:stjohns", "stjohns"],
    [" \t6191 \t, 23\t: USERID\t:\tUNIX , US-ASCII :stjohns", "stjohns"],
    ["6191, 23 : userid : unix : StJohns", "StJohns"],
    ["6191, 23 : USERID : OTHER :  two blanks, colons: and all ", " two blanks, colons: and all "],
    ["6191, 23 : USERID : UNIX : stjohns\r", "stjohns"],
    ["06191, 00023 : USERID : UNIX : x", "x"],
    ["6191, 23 : USERID : UNIX :", ""],
    ["6191, 23 : USERID ::x", "x"],
  ])("the reply %j names the user %j", (line, user) => {
    expect(parse(line)).toEqual({ kind: "user", user });
  });

  test("a reply that names a user may hold any byte but control bytes", () => {
    const user = Buffer.from("\xff\xe9À", "latin1");
    const line = Buffer.concat([bytes("6191,23:USERID:UNIX:"), user]);
    const reply = parseIdentReply(line, PORTS);
    expect(reply.kind === "user" && encodeBytes(reply.user).equals(user)).toBe(true);
    expect(parse("6191,23:USERID:UNIX:é")).toMatchObject({ kind: "user" });
  });

  test.each(["a\0b", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7f", "a\r\r"])(
    "the reply %j breaks the protocol",
    (user) => {
      expect(parse(`6191,23:USERID:UNIX:${user}`)).toEqual({ kind: "breach", code: "EPROTO" });
    },
  );

  test("a reply that names a user may have 511 bytes, and no more", () => {
    expect(parse(`6191,23:USERID:UNIX:${"x".repeat(511)}`)).toMatchObject({ kind: "user" });
    expect(parse(`6191,23:USERID:UNIX:${"x".repeat(512)}`)).toEqual({
      kind: "breach",
      code: "ENAMETOOLONG",
    });
  });
});

describe("a reply that names none", () => {
  test.each([
    ["INVALID-PORT", "EINVAL", "invalid port"],
    ["NO-USER", "ESRCH", "no such user"],
    ["HIDDEN-USER", "EPERM", "identification denied"],
    ["hidden-user \r", "EPERM", "identification denied"],
    ["UNKNOWN-ERROR", "EIO", "unknown error"],
    ["X-HALT", "EEXIST", "X-error-token"],
    ["xyz", "EEXIST", "X-error-token"],
  ])("the reply %j is the error %s", (token, code, text) => {
    expect(parse(`6191, 23 : ERROR : ${token}`)).toEqual({ kind: "error", code, text });
  });

  test.each([
    "",
    "\r",
    "nonsense",
    "6191, 23",
    "6191, 23 : ERROR",
    "6191, 23 : ERROR : NONE",
    "6191, 23 : ERROR : ",
    "6191, 23 : ERROR : constructor",
    "6191, 23 : USERID : UNIX",
    "6191, 23 : OTHER : UNIX : x",
    "23, 6191 : USERID : UNIX : x",
    "6191, 24 : USERID : UNIX : x",
    "-6191, 23 : USERID : UNIX : x",
    "6191 23 : USERID : UNIX : x",
    "71727, 23 : USERID : UNIX : x",
  ])("the reply %j breaks the protocol", (line) => {
    expect(parse(line)).toEqual({ kind: "breach", code: "EPROTO" });
  });
});

describe("the reader", () => {
  const BREACH = { kind: "breach", code: "EPROTO" };

  test("the reply reader waits for the newline, and ignores what follows", () => {
    const line = "6191,23:USERID:UNIX:x\r\n";
    expect(readIdentReply(bytes(line.slice(0, -1)), PORTS)).toEqual({ kind: "more" });
    expect(readIdentReply(bytes(`${line}more`), PORTS)).toEqual({ kind: "user", user: "x" });
  });

  test("the reply reader gives up at 1024 bytes", () => {
    const filler = "x".repeat(IDENT_REPLY_BYTES_MAX);
    expect(readIdentReply(bytes(filler.slice(1)), PORTS)).toEqual({ kind: "more" });
    expect(readIdentReply(bytes(filler), PORTS)).toEqual(BREACH);
    expect(readIdentReply(bytes(`${filler}\n`), PORTS)).toEqual(BREACH);
  });

  test("the reply reader takes no reply and half a line for an unknown error", () => {
    expect(readIdentReply(bytes(""), PORTS, true)).toMatchObject({ kind: "error", code: "EIO" });
    const half = bytes("6191,23:USERID:UNIX:ro");
    expect(readIdentReply(half, PORTS, true)).toMatchObject({ kind: "error", code: "EIO" });
    expect(readIdentReply(bytes(""), PORTS)).toEqual({ kind: "more" });
  });

  test("the reply reader sees the same reply however it is cut", () => {
    const user = fc.string({ maxLength: 600 }).map((text) => text.replace(/[^ -~]/g, "_"));
    const junk = fc.uint8Array({ maxLength: 1200 });
    const replies = fc.oneof(
      user.map((text) => bytes(`6191, 23 : USERID : UNIX : ${text}\r\n`)),
      fc.constantFrom("NO-USER", "Xa", "?").map((token) => bytes(`6191,23:ERROR:${token}\n`)),
      junk.map((content) => Buffer.from(content)),
    );
    fc.assert(
      fc.property(replies, fc.array(fc.nat(1200)), (reply, cuts) => {
        const whole = readIdentReply(reply, PORTS, true);
        for (const end of cuts.sort((a, b) => a - b)) {
          const outcome = readIdentReply(reply.subarray(0, end), PORTS);
          if (outcome.kind === "more") continue;
          expect(outcome).toEqual(whole);
          return;
        }
      }),
    );
  });
});
