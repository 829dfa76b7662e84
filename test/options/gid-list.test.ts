import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GID_LIST_MAX, gidList, InvalidArgument, parseGidList } from "../../src/options/index.ts";

describe("a group list", () => {
  test.each([
    ["", []],
    ["0", [0]],
    ["007", [7]],
    ["4294967295", [4294967295]],
    ["1,2:3;4 5\t6\r\n7", [1, 2, 3, 4, 5, 6, 7]],
    ["1, 2 ,3 , 4", [1, 2, 3, 4]],
    ["3,3", [3, 3]],
    ["1 2 \n", [1, 2]],
  ])("the group list %j is parsed as %j", (text, gids) => {
    expect(parseGidList(text)).toEqual(gids);
  });

  test.each([
    [","],
    [" "],
    [" 1"],
    [",1"],
    ["1,"],
    ["1, "],
    ["1,,2"],
    ["1, ,2"],
    ["1,:2"],
    ["1,x"],
    ["1,2x"],
    ["x"],
    ["-1"],
    ["+1"],
    ["1,-2"],
    ["0x10"],
    ["1.5"],
    ["4294967296"],
    ["1,4294967296,3"],
    ["\u00a01"],
    ["1\u00a0"],
  ])("the text %j is no group list", (text) => {
    expect(parseGidList(text)).toBeUndefined();
    expect(() => gidList.parse(text)).toThrow(InvalidArgument);
  });

  test("any group list comes back, whatever separates the numbers", () => {
    const separator = fc.stringMatching(/^([ \t\r\n]{0,2}[,:;][ \t\r\n]{0,2}|[ \t\r\n]{1,3})$/);
    const gids = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }));
    fc.assert(
      fc.property(gids, separator, (list, by) => {
        expect(parseGidList(list.join(by))).toEqual(list);
      }),
    );
  });

  test("the parser of group lists never crashes, and no number is lost from a list that it takes", () => {
    const text = fc.stringMatching(/^[0-9,:; \t\r\nx+-]*$/);
    fc.assert(
      fc.property(text, (list) => {
        const numbers = list.match(/[0-9]+/g)?.map(Number) ?? [];
        expect(parseGidList(list) ?? numbers).toEqual(numbers);
      }),
    );
  });

  test("the maximum of the kernel is accepted and one more group is not", () => {
    expect(parseGidList("1 ".repeat(GID_LIST_MAX))).toHaveLength(GID_LIST_MAX);
    expect(parseGidList("1 ".repeat(GID_LIST_MAX + 1))).toBeUndefined();
  });
});
