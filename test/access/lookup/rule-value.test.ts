import { describe, expect, test } from "vitest";
import { formatAllow, parseRuleValue } from "../../../src/access/lookup/rule-value.ts";

/** A value that allows, with lengths that are what they are whether the reader accepts them or not. */
function allowing(environmentBytes: number, execBytes: number): Uint8Array {
  const bytes = Buffer.alloc(5 + environmentBytes + execBytes, "x");
  bytes.write("A");
  bytes.writeUInt16BE(environmentBytes, 1);
  bytes.writeUInt16BE(execBytes, 3 + environmentBytes);
  return bytes;
}

describe("the value of a rule", () => {
  test("the value of a rule holds 4096 bytes of variables and 4096 of a script", () => {
    const value = parseRuleValue(allowing(4096, 4096));
    expect(value.kind === "allow" && [value.environment.length, value.exec.length]).toEqual([
      4096, 4096,
    ]);
    expect(formatAllow(new Uint8Array(4096), new Uint8Array(4096))).toHaveLength(8197);
  });

  test.each<[string, Uint8Array, string]>([
    ["no bytes", new Uint8Array(0), "is empty"],
    ["a denial of 8198 bytes", Buffer.alloc(8198, "D"), "is too long"],
    ["nothing of 8198 bytes", Buffer.alloc(8198, "?"), "is too long"],
    ["4097 bytes of variables", allowing(4097, 0), "has too long an environment"],
    ["4097 bytes of a script", allowing(0, 4097), "has too long a script"],
    [
      "a byte too many",
      Buffer.concat([allowing(1, 1), Buffer.from("x")]),
      "does not have the length that it gives",
    ],
    ["a byte too few", allowing(1, 1).subarray(0, 6), "does not have the length that it gives"],
    ["no lengths", Buffer.from("A"), "does not have the length that it gives"],
  ])("the value of a rule is an error with %s", (_, bytes, why) => {
    expect(parseRuleValue(bytes)).toEqual({ kind: "error", why: `the rule's value ${why}` });
  });

  test("the value of a rule that begins with D denies, up to 8197 bytes of it", () => {
    expect(parseRuleValue(Buffer.alloc(8197, "D"))).toEqual({ kind: "deny" });
    expect(parseRuleValue(Buffer.from("D"))).toEqual({ kind: "deny" });
  });

  test("the value of a rule cannot be made of more than a reader takes", () => {
    const [most, more] = [new Uint8Array(4096), new Uint8Array(4097)];
    expect(() => formatAllow(more, most)).toThrow(RangeError);
    expect(() => formatAllow(most, more)).toThrow(RangeError);
  });
});
