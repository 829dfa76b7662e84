import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { taiAt } from "../../../src/clock/index.ts";
import { ExpiryQueue } from "../../../src/supervise/fdholder/expiry-queue.ts";
import { HeldTable } from "../../../src/supervise/fdholder/index.ts";

const START = taiAt(1_000_000_000n);
const at = (monotonicMs: number): { tai: typeof START; monotonicMs: number } => ({
  tai: START,
  monotonicMs,
});

function ascending(a: number, b: number): number {
  return a - b;
}

const id = fc.constantFrom(...Array.from("abcdefgh"));
const commands = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("store" as const), id, leftMs: fc.nat(50), owner: fc.nat(2) }),
    fc.record({ kind: fc.constant("import" as const), id, leftMs: fc.nat(50), owner: fc.nat(2) }),
    fc.record({ kind: fc.constant("remove" as const), id }),
    fc.record({ kind: fc.constant("expire" as const), afterMs: fc.nat(20) }),
  ),
  { maxLength: 80 },
);

test("a table gives every descriptor back once, and has no entry that has expired", () => {
  fc.assert(
    fc.property(commands, (list) => {
      const table = new HeldTable<number>({ entriesMax: 6, perOwnerMax: 3 });
      let [now, last] = [0, 0];
      const held = new Set<number>();
      const letGo = (descriptor: number | undefined): void => {
        if (descriptor !== undefined) expect(held.delete(descriptor)).toBe(true);
      };
      for (const command of list) {
        if (command.kind === "expire") {
          now += command.afterMs;
          for (const descriptor of table.expire(now)) letGo(descriptor);
          expect(table.nextExpiryMs ?? Infinity).toBeGreaterThan(now);
        } else if (command.kind === "remove") {
          letGo(table.remove(command.id));
        } else {
          const limit = taiAt(START + BigInt(command.leftMs) * 1_000_000n);
          const descriptor = (last += 1);
          const holding = { id: command.id, owner: command.owner, limit, descriptor };
          const outcome =
            command.kind === "store"
              ? { refusal: table.store(holding, at(now)) }
              : table.import(holding, at(now));
          if (!("refusal" in outcome)) letGo(outcome.replaced);
          if (!("refusal" in outcome) || outcome.refusal === undefined) held.add(descriptor);
        }
        expect([...table.entries()].map((entry) => entry.descriptor).toSorted(ascending)).toEqual(
          [...held].toSorted(ascending),
        );
        expect(table.size).toBeLessThanOrEqual(6);
      }
    }),
  );
});

test("a queue gives what ends first, whatever is taken out of it", () => {
  const items = fc.array(fc.record({ expiresAtMs: fc.nat(30), isTaken: fc.boolean() }));
  fc.assert(
    fc.property(items, (all) => {
      const queue = new ExpiryQueue<(typeof all)[number]>();
      for (const item of all) queue.add(item);
      for (const item of all) if (item.isTaken) queue.remove(item);
      const order: number[] = [];
      for (let first = queue.first; first !== undefined; first = queue.first) {
        order.push(first.expiresAtMs);
        queue.remove(first);
      }
      const left = all.filter((item) => !item.isTaken).map((item) => item.expiresAtMs);
      expect(order).toEqual(left.toSorted((a, b) => a - b));
    }),
  );
});

describe("an entry", () => {
  test("that is stored with a limit in use gets the next nanosecond, and one of a dump keeps it", () => {
    const table = new HeldTable<number>({ entriesMax: 9 });
    const holding = { limit: taiAt(START + 5n), owner: 0, descriptor: 1 };
    for (const name of ["a", "b", "c"]) table.store({ ...holding, id: name }, at(0));
    table.import({ ...holding, id: "d" }, at(0));
    const limits = [...table.entries()].map(({ limit }) => limit - START);
    expect(limits).toEqual([5n, 6n, 7n, 5n]);
  });

  test("whose limit is past is taken, and gone with the next look", () => {
    const table = new HeldTable<number>({ entriesMax: 9 });
    const holding = { id: "a", limit: taiAt(0n), owner: 0, descriptor: 7 };
    expect(table.store(holding, at(100))).toBeUndefined();
    expect(table.expire(100)).toEqual([7]);
  });

  test("is refused for want of room first, then for its name, then for its owner's quota", () => {
    const table = new HeldTable<number>({ entriesMax: 2, perOwnerMax: 1 });
    const holding = { limit: START, descriptor: 1 };
    const store = (name: string, owner: number): string | undefined =>
      table.store({ ...holding, id: name, owner }, at(0));
    expect(store("a", 1)).toBeUndefined();
    expect(store("a", 1)).toBe("EBUSY");
    expect(store("b", 1)).toBe("EDQUOT");
    expect(store("b", 2)).toBeUndefined();
    expect(store("a", 2)).toBe("ENFILE");
  });
});
