import { describe, expect, test } from "vitest";
import { NamedContexts, OTHER_NAMES_MAX } from "../../../src/tls/handshake/named-contexts.ts";
import { WorkBudget } from "../../../src/tls/handshake/work-budget.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { pairOf, root, SERVER } from "./handshakes.ts";

describe("the contexts of names", () => {
  const namedPairs = [
    { name: "known.example", pair: pairOf(root.issue({ names: ["dns:known.example"] })) },
  ];

  test("a name has one context, whatever its case, and every name another", () => {
    const contexts = new NamedContexts({ ...SERVER, sniLevel: 1, namedPairs }, new FakeClock());
    const names = ["known.example", "a.example", "b.example", undefined];
    const all = names.map((name) => contexts.contextFor(name));
    expect(new Set(all).size).toBe(names.length);
    expect(names.map((name) => contexts.contextFor(name?.toUpperCase()))).toEqual(all);
  });

  test("names that are not known cost a bounded number of contexts, and none of those that are", () => {
    const contexts = new NamedContexts({ ...SERVER, sniLevel: 1, namedPairs }, new FakeClock());
    const kept = ["known.example", undefined].map((name) => contexts.contextFor(name));
    const [first, used] = ["first.example", "used.example"].map((name) =>
      contexts.contextFor(name),
    );
    for (let count = 1; count < OTHER_NAMES_MAX; count += 1) {
      contexts.contextFor(`${count}.example`);
      expect(contexts.contextFor("used.example")).toBe(used);
    }
    expect(contexts.contextFor("first.example")).not.toBe(first);
    expect(["known.example", undefined].map((name) => contexts.contextFor(name))).toEqual(kept);
  });

  test("names that are not known share a context without sessions when there is no time for more", () => {
    let nowMs = 0;
    const slow = { monotonicMs: () => (nowMs += 100) };
    const contexts = new NamedContexts({ ...SERVER, sniLevel: 1, namedPairs }, slow);
    const all = Array.from({ length: 20 }, (_, count) => contexts.contextFor(`${count}.example`));
    const shared = contexts.contextFor("another.example");
    expect(contexts.contextFor("one.more.example")).toBe(shared);
    expect(new Set(all).size).toBeLessThan(10);
    expect(contexts.contextFor("0.example")).toBe(all[0]);
    expect(contexts.contextFor("known.example")).not.toBe(shared);
    nowMs += 60_000;
    expect(contexts.contextFor("another.example")).not.toBe(shared);
  });
});

describe("a budget of work", () => {
  test("a budget is spent by the time that work takes, and earned by the time that passes", () => {
    const clock = new FakeClock();
    const budget = new WorkBudget(clock, { share: 0.1, savedMsMax: 10 });
    const work = (ms: number) => () => {
      clock.advance(ms);
      return "done";
    };
    expect(budget.spend(work(4))).toBe("done");
    expect(budget.spend(work(20))).toBe("done");
    expect(budget.spend(work(1))).toBeUndefined();
    clock.advance(100);
    expect(budget.spend(work(1))).toBeUndefined();
    clock.advance(60);
    expect(budget.spend(work(1))).toBe("done");
    clock.advance(1_000_000);
    expect(budget.spend(work(12))).toBe("done");
    expect(budget.spend(work(1))).toBeUndefined();
  });
});
