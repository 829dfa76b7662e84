import fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectionCounts } from "../../../src/ucspi/serving/counts.ts";

test("counts are kept by address and in total", () => {
  const counts = new ConnectionCounts();
  counts.add("127.0.0.1");
  counts.add("::1");
  counts.add("127.0.0.1");
  expect([counts.total, counts.of("127.0.0.1"), counts.of("::1")]).toEqual([3, 2, 1]);
  counts.remove("127.0.0.1");
  expect([counts.total, counts.of("127.0.0.1")]).toEqual([2, 1]);
});

test("an address without connections has a count of 0", () => {
  expect(new ConnectionCounts().of("192.0.2.1")).toBe(0);
});

test("counts agree with a list of connections, whatever connects and ends", () => {
  const addresses = fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1");
  const steps = fc.array(fc.tuple(fc.boolean(), addresses), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const counts = new ConnectionCounts();
      const present: string[] = [];
      for (const [comes, address] of sequence) {
        const at = present.indexOf(address);
        if (comes) {
          counts.add(address);
          present.push(address);
        } else if (at >= 0) {
          counts.remove(address);
          present.splice(at, 1);
        }
        expect(counts.total).toBe(present.length);
        expect(counts.of(address)).toBe(present.filter((other) => other === address).length);
      }
    }),
  );
});
