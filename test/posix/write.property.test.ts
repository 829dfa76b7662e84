import fc from "fast-check";
import { expect, test } from "vitest";
import { afterBytes } from "../../src/posix/index.ts";

const buffers = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });

test("what is left after some bytes are the others, and no buffer is empty before them", () => {
  fc.assert(
    fc.property(buffers, fc.nat(180), (given, count) => {
      const rest = afterBytes(given, count);
      expect(Buffer.concat(rest)).toEqual(Buffer.concat(given).subarray(count));
      expect(rest[0]?.length).not.toBe(0);
    }),
  );
});
