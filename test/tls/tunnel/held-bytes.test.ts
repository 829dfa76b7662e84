/** Output that is held back. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { HeldBytes } from "../../../src/tls/tunnel/held-bytes.ts";

test("held output goes first with what comes after its release", () => {
  const held = new HeldBytes();
  expect(held.through([Buffer.from("a")])).toEqual([Buffer.from("a")]);
  held.hold();
  expect(held.through([Buffer.from("b"), Buffer.from("c")])).toEqual([]);
  held.release();
  expect(held.through([Buffer.from("d")])).toEqual(
    ["b", "c", "d"].map((text) => Buffer.from(text)),
  );
  expect(held.through([Buffer.from("e")])).toEqual([Buffer.from("e")]);
});

test("output is kept in order and none of it twice, and no more than 65536 bytes are held", () => {
  const acts = fc.array(
    fc.oneof(fc.constantFrom("hold", "release"), fc.integer({ min: 0, max: 40_000 })),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(acts, (sequence) => {
      const held = new HeldBytes();
      const came: Buffer[] = [];
      const gone: Uint8Array[] = [];
      const waitingBytes = (): number => Buffer.concat(came).length - Buffer.concat(gone).length;
      for (const act of sequence) {
        if (act === "hold") held.hold();
        else if (act === "release") held.release();
        else {
          const bytes = Buffer.alloc(Number(act), came.length);
          came.push(bytes);
          gone.push(...held.through([bytes]));
        }
        expect(waitingBytes()).toBeLessThanOrEqual(65_536);
      }
      held.release();
      gone.push(...held.through([]));
      expect(Buffer.concat(gone).equals(Buffer.concat(came))).toBe(true);
    }),
  );
});
