/** Node's descriptors are told from inherited ones by how Node makes them, and none that is inherited is lost. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodesOwn } from "../../src/chain/inherited-descriptors.ts";
import type { Described } from "../../src/chain/inherited-descriptors.ts";

type Shape = Omit<Described, "fd" | "inode"> & { readonly pipe?: number };

const EPOLL: Shape = { kind: "anonymous", access: "readwrite", isNonblocking: false };
const EVENT: Shape = { ...EPOLL, isNonblocking: true };

function pipe(number: number, isNonblocking: boolean): readonly Shape[] {
  const ends = (["read", "write"] as const).map((access) => ({ kind: "pipe" as const, access }));
  return ends.map((end) => ({ ...end, isNonblocking, pipe: number }));
}

/** The descriptors that Node opens, in order, for so many loops. */
function nodeShapes(loops: number): readonly Shape[] {
  return Array.from({ length: loops }, (_, loop) => [
    EPOLL,
    ...(loop === 0 ? pipe(1, false) : []),
    ...pipe(2 + loop, true),
    EVENT,
  ]).flat();
}

/** Inherited shapes under numbers of their own, and Node's under the lowest that are left. */
function placed(
  inherited: ReadonlyMap<number, Shape>,
  loops: number,
): { readonly all: readonly Described[]; readonly nodes: ReadonlySet<number> } {
  const all: Described[] = [...inherited].map(([fd, shape]) => describeAs(fd, shape, 1000));
  const nodes = new Set<number>();
  let fd = 3;
  for (const shape of nodeShapes(loops)) {
    while (inherited.has(fd)) fd += 1;
    all.push(describeAs(fd, shape, 0));
    nodes.add(fd);
    fd += 1;
  }
  return { all: all.toSorted((a, b) => a.fd - b.fd), nodes };
}

function describeAs(fd: number, { pipe: number, ...shape }: Shape, base: number): Described {
  return { fd, ...shape, inode: base + (number ?? 0) };
}

const shapes: fc.Arbitrary<Shape> = fc.oneof(
  fc.constantFrom<Shape>(EPOLL, EVENT),
  fc.record({
    kind: fc.constant("pipe" as const),
    access: fc.constantFrom("read" as const, "write" as const),
    isNonblocking: fc.boolean(),
    pipe: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constantFrom("other" as const, "anonymous" as const),
    access: fc.constantFrom("read" as const, "write" as const, "readwrite" as const),
    isNonblocking: fc.boolean(),
  }),
);

const numbers = fc.integer({ min: 3, max: 40 });

describe("descriptors of Node", () => {
  test("descriptors of Node are all known where nothing like them is inherited", () => {
    const plain = fc.record({
      kind: fc.constant("other" as const),
      access: fc.constant("read" as const),
      isNonblocking: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(numbers, plain)),
        fc.integer({ min: 1, max: 3 }),
        (given, loops) => {
          const { all, nodes } = placed(new Map(given), loops);
          expect(nodesOwn(all)).toEqual(nodes);
        },
      ),
    );
  });

  test("descriptors of Node are never taken to be inherited ones that only look like one of their pieces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(numbers, shapes), { maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        (given, loops) => {
          const { all, nodes } = placed(withoutWholeLoops(new Map(given)), loops);
          const lost = [...nodesOwn(all)].filter((fd) => !nodes.has(fd));
          expect(lost).toEqual([]);
        },
      ),
    );
  });

  test("are never taken to be inherited ones where these are all that a loop consists of", () => {
    const loops = fc.integer({ min: 1, max: 3 }).map((count) => nodeShapes(count).map(asInherited));
    fc.assert(
      fc.property(loops, fc.integer({ min: 3, max: 40 }), (given, first) => {
        const inherited = new Map(given.map((shape, index) => [first + index, shape]));
        const { all, nodes } = placed(inherited, 3);
        expect([...nodesOwn(all)].filter((fd) => !nodes.has(fd))).toEqual([]);
      }),
    );
  });

  test("descriptors of Node are kept with the inherited one where either may be Node's", () => {
    const { all } = placed(new Map([[9, EVENT]]), 2);
    const known = nodesOwn(all);
    expect(known.has(9)).toBe(false);
    expect(known.has(8)).toBe(false); // the first loop's own, beside it
    expect([3, 4, 5, 6, 7].every((fd) => known.has(fd))).toBe(true);
  });
});

/** The same in pipes of its own. */
function asInherited(shape: Shape): Shape {
  return shape.pipe === undefined ? shape : { ...shape, pipe: shape.pipe - 100 };
}

/**
 * Whoever is given all that a loop consists of cannot be told from a Node of fewer loops than there may be:
 * such sets are not made here.
 */
function withoutWholeLoops(given: Map<number, Shape>): Map<number, Shape> {
  const has = (kind: Described["kind"], isNonblocking?: boolean): boolean =>
    [...given.values()].some(
      (shape) =>
        shape.kind === kind &&
        (isNonblocking === undefined || shape.isNonblocking === isNonblocking),
    );
  const isLikeLoop = has("anonymous", false) && has("anonymous", true) && has("pipe", true);
  return isLikeLoop ? new Map([...given].filter(([, { kind }]) => kind !== "pipe")) : given;
}
