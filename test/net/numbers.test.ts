import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { parsePort, parseUnsigned } from "../../src/net/index.ts";

describe("an unsigned number", () => {
  test.each([
    ["0", 0],
    ["007", 7],
    ["4294967295", 4294967295],
    ["4294967296", undefined],
    ["99999999999999999999999", undefined],
    ["", undefined],
    ["-1", undefined],
    ["+1", undefined],
    [" 1", undefined],
    ["1 ", undefined],
    ["1\n", undefined],
    ["0x10", undefined],
    ["1e3", undefined],
    ["1.0", undefined],
    ["١", undefined],
  ])("the number %j is parsed as %s", (text, value) => {
    expect(parseUnsigned(text)).toBe(value);
  });

  test("every number comes back from its decimal form, whatever the leading zeros", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.nat(5), (value, zeros) => {
        expect(parseUnsigned("0".repeat(zeros) + String(value))).toBe(value);
      }),
    );
  });
});

test.each([
  ["0", 0],
  ["65535", 65535],
  ["65536", undefined],
  ["http", undefined],
])("the port %j is parsed as %s", (text, port) => {
  expect(parsePort(text)).toBe(port);
});
