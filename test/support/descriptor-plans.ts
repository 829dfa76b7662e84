/**
 * Random sets of inherited descriptors, and whether a program behind a link still has them: the reference is
 * a program behind the same link in C.
 */

import { join } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { BIN, newScene, peer, ROOT } from "./scene.ts";
import type { Scene } from "./scene.ts";

const FIXTURE = join(ROOT, "test", "fixtures", "chain", "descriptors.py");

export const python = peer("python3");
export const setsidInC = peer("s6-setsid");

/** Node's own are mostly below 20. */
const numbers = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 3, max: 24 }) },
  fc.integer({ min: 25, max: 120 }),
);

const PAIRS = ["pipe", "npipe", "sockets"];
const SINGLES = ["event", "nevent", "epoll", "timer", "null", "file", "folder"];

/** The descriptors that test/fixtures/chain/descriptors.py is to make: a list of its words. */
export const descriptorPlans: fc.Arbitrary<readonly string[]> = fc.array(
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...PAIRS), numbers, numbers)
      .filter(([, one, other]) => one !== other)
      .map(([kind, one, other]) => `${kind}:${one}:${other}`),
    fc.tuple(fc.constantFrom(...SINGLES), numbers).map(([kind, fd]) => `${kind}:${fd}`),
    fc.tuple(fc.constantFrom(0, 1, 2), numbers).map(([from, fd]) => `copy:${from}:${fd}`),
  ),
  { maxLength: 10 },
);

/** The descriptors of a program: target and flags by number. */
type Listing = ReadonlyMap<number, string>;

async function listingBehind(
  scene: Scene,
  link: string,
  plan: readonly string[],
): Promise<Listing> {
  const words = [FIXTURE, "make", plan.join(","), link, python.path, FIXTURE, "list", "listing"];
  (await scene.execute(python.path, words).finished()).exits(0);
  const lines = scene.read("listing").trimEnd().split("\n");
  return new Map(lines.map((line) => [Number(line.split(" ", 1)[0]), line]));
}

/** The lines of some numbers, with equal names for what is the same pipe or socket. */
function normalized(listing: Listing, fds: Iterable<number>): readonly string[] {
  const names = new Map<string, string>();
  return Array.from(fds, (fd) =>
    (listing.get(fd) ?? `${fd} closed`).replace(/(pipe|socket):\[\d+\]/, (target, kind: string) => {
      const name = names.get(target) ?? `${kind} ${names.size}`;
      names.set(target, name);
      return name;
    }),
  );
}

/** Nothing is lost behind either of our launchers, and nothing is added by the native one. */
export async function expectSameDescriptors(plan: readonly string[]): Promise<void> {
  await using scene = await newScene();
  const reference = await listingBehind(scene, setsidInC.path, plan);
  const expected = normalized(reference, reference.keys());
  const native = await listingBehind(scene, join(BIN, "s6-setsid"), plan);
  expect(normalized(native, native.keys())).toEqual(expected);
  const portable = await listingBehind(scene, join(ROOT, "dist", "bin", "s6-setsid"), plan);
  expect(normalized(portable, reference.keys())).toEqual(expected);
}
