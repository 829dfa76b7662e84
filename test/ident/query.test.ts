import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { IDENT_QUERY_BYTES_MAX, parseIdentQuery, readIdentQuery } from "../../src/ident/query.ts";
import { formatIdentRequest } from "../../src/ident/reply.ts";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

describe("a question", () => {
  test.each(["6193 , 23", "6193,23", " \t6193\t, 23 \t", "6193 , 23\r", "0006193 , 00023"])(
    "a query %j is parsed",
    (line) => {
      const ports = { remote: 6193, local: 23 };
      expect(parseIdentQuery(bytes(line))).toEqual({ kind: "ports", ports });
    },
  );

  test.each([
    ["0 , 23", 0, 23],
    ["6193 , 65536", 6193, 65_536],
    ["9999999999,9999999999", 9_999_999_999, 9_999_999_999],
    ["", 0, 0],
    ["\r", 0, 0],
    ["6193", 0, 0],
    ["6193 , ", 0, 0],
    ["-1 , 23", 0, 0],
    ["6193 , 2.5", 0, 0],
    ["0x17 , 23", 0, 0],
    ["6193 , 23 , 24", 0, 0],
    ["6193 , 23\r\r", 0, 0],
    ["6193 , 23\0", 0, 0],
    ["11111111111 , 23", 0, 0],
    ["GET / HTTP/1.1", 0, 0],
  ])("a query %j is refused", (line, remote, local) => {
    expect(parseIdentQuery(bytes(line))).toEqual({ kind: "invalid", ports: { remote, local } });
  });

  test("a query is what our client sends", () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    fc.assert(
      fc.property(port, port, (remote, local) => {
        const sent = bytes(formatIdentRequest({ remote, local }));
        expect(readIdentQuery(sent)).toEqual({
          kind: "query",
          query: { kind: "ports", ports: { remote, local } },
          bytesUsed: sent.length,
        });
      }),
    );
  });
});

describe("the reader", () => {
  test("the query reader waits for the newline and takes no more than the line", () => {
    expect(readIdentQuery(bytes("6193 , 23\r"))).toEqual({ kind: "more" });
    expect(readIdentQuery(bytes("6193 , 23\r\n1 , 2\r\n"))).toMatchObject({ bytesUsed: 11 });
    expect(readIdentQuery(bytes(""))).toEqual({ kind: "more" });
  });

  test("the query reader gives up at 1000 bytes", () => {
    const blanks = " ".repeat(IDENT_QUERY_BYTES_MAX - 5);
    expect(readIdentQuery(bytes(`${blanks}1,2\r\n`))).toMatchObject({ kind: "query" });
    expect(readIdentQuery(bytes(`${blanks}1,2\r`))).toEqual({ kind: "more" });
    expect(readIdentQuery(bytes(`${blanks} 1,2\r\n`))).toEqual({ kind: "tooLong" });
  });

  test("the query reader gives one result for any bytes, which more bytes do not change", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1200 }), fc.nat(1200), (stream, cut) => {
        const early = readIdentQuery(stream.subarray(0, cut));
        if (early.kind !== "more") expect(readIdentQuery(stream)).toEqual(early);
      }),
    );
  });
});
