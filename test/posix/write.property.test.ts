import fc from "fast-check";
import { expect, test } from "vitest";
import { afterBytes } from "../../src/posix/index.ts";

const buffers = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });

test("the rest of a partial write is the other bytes, and no buffer is empty before them", () => {
  fc.assert(
    fc.property(buffers, fc.nat(180), (given, count) => {
      const rest = afterBytes(given, count);
      expect(Buffer.concat(rest)).toEqual(Buffer.concat(given).subarray(count));
      expect(rest[0]?.length).not.toBe(0);
    }),
  );
});
