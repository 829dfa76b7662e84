import { describe, expect, test } from "vitest";
import { formatProxy, parseProxy, PROXY_V1_BYTES_MAX, Tlvs } from "../../src/proxy/index.ts";
import { end, parsed, problemOf } from "./samples.ts";

describe("a v1 header", () => {
  test("a v1 header announces a TCP4 connection, and ends with its line", () => {
    const line = "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n";
    expect(parsed(`${line}HELO\r\n`)).toEqual({
      kind: "done",
      bytesUsed: line.length,
      header: {
        command: "proxy",
        family: "tcp4",
        source: end("192.0.2.7", 49152),
        destination: end("192.0.2.1", 80),
        tlvs: Tlvs.none,
      },
    });
  });

  test("a v1 header announces a TCP6 connection", () => {
    const { header } = parsed("PROXY TCP6 2001:DB8::1 ::ffff:1.2.3.4 1 65535\r\n");
    expect(header).toMatchObject({
      family: "tcp6",
      source: end("2001:db8::1", 1),
      destination: end("::ffff:102:304", 65535),
    });
  });

  test("a v1 header may have leading zeros in numbers, as in the C suite", () => {
    const { header } = parsed("PROXY TCP4 01.2.3.4 5.6.7.8 000000111 1\r\n");
    expect(header).toMatchObject({ source: end("1.2.3.4", 111), destination: end("5.6.7.8", 1) });
  });

  test.each(["", " ", " anything at all", " a\rb", " TCP4 1.2.3.4", ` ${"x".repeat(91)}`])(
    "a v1 header of an unknown protocol may have any text: UNKNOWN%j",
    (rest) => {
      const line = `PROXY UNKNOWN${rest}\r\n`;
      expect(parsed(`${line}x`)).toEqual({
        kind: "done",
        bytesUsed: line.length,
        header: { command: "proxy", family: "unspecified" },
      });
    },
  );

  test.each([
    ["GET / HTTP/1.0\r\n\r\n", "invalid magic"],
    ["P\r\n", "invalid magic"],
    ["proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid magic"],
    ["PROXY\r\n", "invalid magic"],
    ["PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid protocol in PROXY line"],
    ["PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid protocol in PROXY line"],
    ["PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid protocol in PROXY line"],
    ["PROXY UNKNOWNx\r\n", "invalid protocol in PROXY line"],
    ["PROXY UNKNOWN\r\r\n", "invalid protocol in PROXY line"],
    ["PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n", "invalid protocol in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "invalid PROXY line"],
    ["PROXY UNKNOWN foo\n", "invalid PROXY line"],
    ["PROXY TCP4 1.2.3.4\r\n", "invalid PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4\r\n", "invalid PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "invalid PROXY line"],
    ["PROXY TCP4 ::1 ::1 1 2\r\n", "invalid remote ip in PROXY line"],
    ["PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "invalid remote ip in PROXY line"],
    ["PROXY TCP6 ::1 1.2.3.4 1 2\r\n", "invalid local ip in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4x 1 2\r\n", "invalid local ip in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "invalid remote port in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "invalid remote port in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "invalid local port in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "invalid local port in PROXY line"],
    ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", "invalid local port in PROXY line"],
  ])("a line is no v1 header: %j", (bytes, why) => {
    expect(problemOf(bytes)).toBe(why);
  });

  test("a v1 header has at most 107 bytes, CRLF included", () => {
    const line = `PROXY UNKNOWN ${"x".repeat(PROXY_V1_BYTES_MAX - 16)}\r\n`;
    expect(line).toHaveLength(PROXY_V1_BYTES_MAX);
    expect(parsed(line).bytesUsed).toBe(PROXY_V1_BYTES_MAX);
    expect(problemOf(line.replace("x", "xx"))).toBe("PROXY line too long");
    expect(problemOf(`PROXY ${"x".repeat(101)}`)).toBe("PROXY line too long");
    expect(problemOf(`PROXY ${"x".repeat(100)}`)).toBe("more");
  });

  test("a v1 header is refused at its first wrong byte, and otherwise asked for up to its shortest end", () => {
    expect(problemOf("PROX")).toBe("more");
    expect(problemOf("PROXy")).toBe("invalid magic");
    const wanted = ["", "P", "PROXY UNKNOWN\r", "PROXY TCP4 1.2.3.4"].map((text) => {
      const progress = parseProxy(Buffer.from(text));
      return progress.kind === "more" ? progress.bytesWanted : progress;
    });
    expect(wanted).toEqual([15, 14, 1, 1]);
  });

  test("a v1 header is not accepted where only v2 is", () => {
    const line = Buffer.from("PROXY UNKNOWN\r\n");
    expect(parseProxy(line, 2)).toEqual({ kind: "invalid", why: "invalid magic" });
    expect(parseProxy(line, 1).kind).toBe("done");
    expect(parseProxy(new Uint8Array(0), 1)).toEqual({ kind: "more", bytesWanted: 15 });
  });
});

describe("formatting v1", () => {
  const ends = { source: end("192.0.2.7", 49152), destination: end("192.0.2.1", 80) };
  const tlvs = Tlvs.none;

  test("formatting v1 writes a line", () => {
    const bytes = formatProxy({ command: "proxy", family: "tcp4", ...ends, tlvs }, { version: 1 });
    expect(Buffer.from(bytes).toString()).toBe("PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n");
  });

  test("formatting v1 writes UNKNOWN for a connection that it cannot describe", () => {
    for (const header of [
      { command: "local" } as const,
      { command: "proxy", family: "unspecified" } as const,
      { command: "proxy", family: "udp4", ...ends, tlvs } as const,
      { command: "proxy", family: "unixStream", source: "/a", destination: "/b", tlvs } as const,
    ]) {
      const bytes = formatProxy(header, { version: 1 });
      expect(Buffer.from(bytes).toString()).toBe("PROXY UNKNOWN\r\n");
    }
  });

  test("formatting v1 refuses addresses of another family", () => {
    const header = { command: "proxy", family: "tcp6", ...ends, tlvs } as const;
    expect(() => formatProxy(header, { version: 1 })).toThrow(RangeError);
  });
});
