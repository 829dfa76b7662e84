import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  decodeEdits,
  encodeEdits,
  isVariableFile,
  parseEdit,
  parseEnvironmentFile,
  readUcspiConnection,
  requireVariable,
  tcpClientEdits,
  tcpServerEdits,
  ucspiNames,
  VariableError,
} from "../../src/net/index.ts";
import { decodeBytes } from "../../src/posix/index.ts";
import { endpoint } from "./samples.ts";

import type { EnvironmentEdit, Variables } from "../../src/net/index.ts";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function variablesOf(values: Readonly<Record<string, string>>): Variables {
  return (name) => values[name];
}

describe("the variables of a TCP server", () => {
  const local = endpoint("2001:DB8:0:0::1", 993);
  const remote = endpoint("192.0.2.7", 49152);

  test("a TCP server gives its programs the protocol, both ends, and how many connections there were", () => {
    const edits = tcpServerEdits({ local, remote, connectionNumber: 0 });
    expect(encodeEdits(edits).toString().split("\0")).toEqual([
      "PROTO=TCP",
      "TCPLOCALIP=2001:db8::1",
      "TCPLOCALPORT=993",
      "TCPREMOTEIP=192.0.2.7",
      "TCPREMOTEPORT=49152",
      "TCPCONNNUM=0",
      "",
    ]);
  });

  test("a TCP client gives its programs all variables but the last", () => {
    const server = tcpServerEdits({ local, remote, connectionNumber: 0 });
    expect(tcpClientEdits({ local, remote })).toEqual(server.slice(0, -1));
  });

  test("the variables of a TCP server are those that the programs after it read", () => {
    const edits = tcpServerEdits({ local, remote, connectionNumber: 3 });
    const values = new Map(edits.map(({ name, value }) => [name, value]));
    const connection = readUcspiConnection((name) => values.get(name));
    expect(connection).toEqual({ protocol: "TCP", local, remote });
  });
});

describe("the variables that describe a connection", () => {
  const good = {
    PROTO: "QUX",
    QUXLOCALIP: "127.0.0.1",
    QUXLOCALPORT: "25",
    QUXREMOTEIP: "::1",
    QUXREMOTEPORT: "0",
  };

  test("the variables that describe a connection begin with the value of PROTO", () => {
    const connection = readUcspiConnection(variablesOf(good));
    expect(connection.local).toEqual(endpoint("127.0.0.1", 25));
    expect(connection.remote).toEqual(endpoint("::1", 0));
    expect(ucspiNames("QUX").remoteInfo).toBe("QUXREMOTEINFO");
  });

  for (const name of Object.keys(good)) {
    test(`the variables that describe a connection are refused by name when ${name} is missing`, () => {
      const variables: Variables = (key) => (key === name ? undefined : variablesOf(good)(key));
      expect(() => readUcspiConnection(variables)).toThrow(new VariableError(name, "missing"));
      expect(() => requireVariable(variables, name)).toThrow(`${name} not set`);
    });
  }

  test.each([
    ["QUXLOCALIP", "localhost"],
    ["QUXLOCALPORT", "smtp"],
    ["QUXREMOTEIP", "::1x"],
    ["QUXREMOTEPORT", "65536"],
  ])(
    "the variables that describe a connection are refused by name when %s is %s",
    (name, value) => {
      const read = () => readUcspiConnection(variablesOf({ ...good, [name]: value }));
      expect(read).toThrow(`invalid $${name}`);
      expect(read).toThrow(expect.objectContaining({ variable: name, reason: "invalid" }));
    },
  );
});

describe("edits as bytes", () => {
  const text = fc.string({ unit: "binary" });
  const name = text.map((characters) => `N${characters.replace(/[=\0]/g, "_")}`);
  const value = text.map((characters) => characters.replaceAll("\0", "="));
  const edits: fc.Arbitrary<EnvironmentEdit[]> = fc.array(
    fc.record({ name, value: fc.option(value, { nil: undefined }) }),
  );

  test("edits as bytes set, empty and remove", () => {
    expect(decodeEdits(bytes("FOO=bar=baz\0EMPTY=\0S6_FD#\0"))).toEqual([
      { name: "FOO", value: "bar=baz" },
      { name: "EMPTY", value: "" },
      { name: "S6_FD#", value: undefined },
    ]);
    expect(decodeEdits(bytes(""))).toEqual([]);
  });

  test.each(["FOO=bar", "FOO=bar\0BAZ", "\0", "=x\0"])("the edits %j are malformed", (text) => {
    expect(decodeEdits(bytes(text))).toBeUndefined();
  });

  test.each([
    { name: "", value: "x" },
    { name: "A=B", value: undefined },
    { name: "A", value: "x\0y" },
    { name: "A\0B", value: "x" },
  ])("the edits %j have no form in bytes", (edit) => {
    expect(() => encodeEdits([edit])).toThrow(RangeError);
  });

  test("any list of edits comes back from its bytes", () => {
    fc.assert(
      fc.property(edits, (list) => {
        expect(decodeEdits(encodeEdits(list))).toEqual(list);
      }),
    );
  });

  test("any bytes of edits are refused or come back, even those that are not UTF-8", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (garbage) => {
        const list = decodeEdits(garbage);
        if (list !== undefined) expect(encodeEdits(list)).toEqual(Buffer.from(garbage));
      }),
      { numRuns: 1000 },
    );
  });

  test("an edit as text sets or removes one variable", () => {
    expect(parseEdit("A=")).toEqual({ name: "A", value: "" });
    expect(parseEdit("A")).toEqual({ name: "A", value: undefined });
  });
});

describe("a file of an environment directory", () => {
  test.each([
    ["", undefined],
    ["\n", ""],
    ["bar", "bar"],
    ["bar  \t\nsecond", "bar"],
    ["bar \t\r\n", "bar"],
    ["  bar\n", "  bar"],
    [" \t\r", ""],
    ["a\0b \0", "a\nb \n"],
    ["\0", "\n"],
  ])("a file of an environment directory that holds %j sets %j", (text, value) => {
    expect(parseEnvironmentFile(bytes(text))).toBe(value);
  });

  test("a file of an environment directory keeps its trailing blanks with -n", () => {
    expect(parseEnvironmentFile(bytes("a \t\r\nb"), { keepTrailingBlanks: true })).toBe("a \t\r");
  });

  test("a file of an environment directory counts whole with -f, but for one newline at its end, and with -fn entirely", () => {
    const wholeFile = true;
    expect(parseEnvironmentFile(bytes("a \nb \n\n"), { wholeFile })).toBe("a \nb \n");
    expect(parseEnvironmentFile(bytes("a \nb "), { wholeFile })).toBe("a \nb ");
    expect(parseEnvironmentFile(bytes("\n"), { wholeFile })).toBe("");
    const options = { wholeFile, keepTrailingBlanks: true };
    expect(parseEnvironmentFile(bytes("a\nb\n"), options)).toBe("a\nb\n");
  });

  test("a file of an environment directory may have its NULs become another byte", () => {
    expect(parseEnvironmentFile(bytes("a\0b"), { nulReplacement: 0x3a })).toBe("a:b");
  });

  test("a file of an environment directory counts up to its 4095th byte, or entirely without a cap", () => {
    const long = bytes("x".repeat(5000));
    expect(parseEnvironmentFile(long)).toHaveLength(4095);
    expect(parseEnvironmentFile(long, { bytesMax: Infinity })).toHaveLength(5000);
  });

  test("a file of an environment directory keeps bytes that are not UTF-8, and never yields a NUL", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (content) => {
        const value = parseEnvironmentFile(content, { wholeFile: true, keepTrailingBlanks: true });
        const expected = content.map((byte) => (byte === 0 ? 10 : byte));
        expect(value).toBe(content.length === 0 ? undefined : decodeBytes(expected));
        expect(parseEnvironmentFile(content) ?? "").not.toMatch(/[\0\n].*[\0]/);
      }),
    );
  });

  test("a file of an environment directory has a name without = that does not begin with a dot", () => {
    const names = ["A", "b.c", ".hidden", "A=B", "."];
    expect(names.filter(isVariableFile)).toEqual(["A", "b.c"]);
  });
});
