import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { GID_LIST_MAX, parseGidList, parsePort, parseUnsigned } from "../../src/net/index.ts";

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
  ])("%j is %s", (text, value) => {
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
])("the port %j is %s", (text, port) => {
  expect(parsePort(text)).toBe(port);
});

describe("a group list", () => {
  test.each([
    ["", []],
    [" ,", []],
    ["0", [0]],
    ["1,2:3;4 5\t6\r\n7", [1, 2, 3, 4, 5, 6, 7]],
    [",,1,,2,,", [1, 2]],
    ["1,2,x,4", [1, 2]],
    ["1,-2", [1]],
    ["1,4294967296,3", [1]],
    ["x", undefined],
    ["-1", undefined],
    [",x", undefined],
    ["4294967296", undefined],
  ])("%j is %j", (text, gids) => {
    expect(parseGidList(text)).toEqual(gids);
  });

  test("any list comes back, whatever separates the numbers", () => {
    const separator = fc.stringMatching(/^[,:; \t\r\n]+$/);
    const gids = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }));
    fc.assert(
      fc.property(gids, separator, (list, by) => {
        expect(parseGidList(list.join(by))).toEqual(list);
      }),
    );
  });

  test("never crashes, and ends at the kernel's maximum", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseGidList(text);
      }),
    );
    expect(parseGidList("1 ".repeat(GID_LIST_MAX + 1))).toHaveLength(GID_LIST_MAX);
  });
});
