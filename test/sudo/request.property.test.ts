import fc from "fast-check";
import { expect, test } from "vitest";
import {
  admittedVariables,
  exitCodeOfStatus,
  formatSudoRequest,
  formatWaitStatus,
  readSudoRequest,
  SUDO_COUNT_MAX,
} from "../../src/sudo/request.ts";

const word = fc.string({ maxLength: 8 }).filter((text) => !text.includes("\0"));
const variable = fc.tuple(fc.constantFrom("A", "B", "PATH"), word).map((pair) => pair.join("="));
const request = fc.record({ words: fc.array(word), variables: fc.array(variable) });

test("a request is read as it was written, and no part of it is one", () => {
  fc.assert(
    fc.property(request, fc.nat(), (asked, cut) => {
      const body = formatSudoRequest(asked);
      const reading = readSudoRequest(body, 1);
      expect(reading).toEqual({ kind: "request", request: asked });
      expect(readSudoRequest(body.subarray(0, cut % body.length), 1).kind).toBe("malformed");
    }),
  );
});

test("whatever byte of a request is changed, it is read or refused", () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.integer({ min: 0, max: 255 }), (asked, at, byte) => {
      const body = formatSudoRequest(asked);
      body[at % body.length] = byte;
      const reading = readSudoRequest(body, 0);
      if (reading.kind !== "request") return;
      for (const one of reading.request.variables) expect(one).toContain("=");
    }),
  );
});

function body(numbers: readonly number[], rest: string): Buffer {
  const header = Buffer.alloc(31);
  header.write("s6-sudo a v1.0\n");
  for (const [index, number] of numbers.entries()) header.writeUInt32BE(number, 15 + 4 * index);
  return Buffer.concat([header, Buffer.from(rest, "latin1")]);
}

test.each([
  ["no program", body([0, 0, 0, 0], "")],
  ["a wrong length", body([1, 0, 3, 0], "ls")],
  ["lengths that overflow", body([1, 0, 0xffffffff, 4], "ls\0")],
  ["too many words", body([SUDO_COUNT_MAX + 1, 0, 0, 0], "")],
  ["too many variables", body([1, SUDO_COUNT_MAX + 1, 3, 0], "ls\0")],
  [
    "another banner",
    Buffer.from(body([1, 0, 3, 0], "ls\0").toString("latin1").replace("a v1", "a v2")),
  ],
])("a request with %s is malformed", (_, bytes) => {
  expect(readSudoRequest(bytes, 0).kind).toBe("malformed");
});

test("strings that are missing, and variables without a value, are invalid; surplus is ignored", () => {
  expect(readSudoRequest(body([2, 0, 3, 0], "ls\0"), 0)).toMatchObject({ fault: "strings" });
  expect(readSudoRequest(body([1, 0, 2, 0], "ls"), 0)).toMatchObject({ fault: "strings" });
  expect(readSudoRequest(body([0, 1, 0, 2], "A\0"), 1)).toMatchObject({ fault: "variable" });
  expect(readSudoRequest(body([1, 0, 6, 0], "ls\0-l\0"), 0)).toMatchObject({
    request: { words: ["ls"] },
  });
  expect(readSudoRequest(body([0, 0, 0, 0], ""), 1).kind).toBe("request");
});

test("of a client's variables those count that the server has empty, each once", () => {
  const own = ["EMPTY=", "FULL=x", "ALSO="];
  const sent = ["EMPTY=1", "EMPTY=2", "FULL=y", "NEW=z", "ALSO=a=b", "EMPTYX=q", "=x"];
  expect(admittedVariables(own, sent)).toEqual([
    { name: "EMPTY", value: "1" },
    { name: "ALSO", value: "a=b" },
  ]);
});

test("the end of a program travels as the status of wait(2), and becomes an exit code", () => {
  const codes = [0, 7, 127, 128, 200, 255].map((exitCode) => {
    return exitCodeOfStatus(formatWaitStatus({ kind: "exited", exitCode }));
  });
  expect(codes).toEqual([0, 7, 127, 128, 128, 128]);
  const killed = { kind: "killed", signal: 9, coreDumped: false } as const;
  expect(formatWaitStatus(killed).toString("hex")).toBe("00000009");
  expect(exitCodeOfStatus(formatWaitStatus({ ...killed, signal: 6, coreDumped: true }))).toBe(134);
});
