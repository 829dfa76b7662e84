/** Labels as local time: ours against s6's own s6-tai64nlocal and the tai64nlocal of daemontools. */

import { describe, expect, test } from "vitest";
import { newScene, peer } from "../support/scene.ts";
import type { RunOptions } from "../support/scene.ts";
import { rightZones, zones } from "../support/zones.ts";

const s6 = peer("s6-tai64nlocal");
const daemontools = peer("tai64nlocal");

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Asia/Kathmandu",
  "EST5EDT,M3.2.0,M11.1.0",
];
const TIMEOUT_MS = 600_000;

/** The same numbers for the same seed: 0 to `below` - 1. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The TAI seconds before, in and after two leap seconds. */
const LEAPS = [78_796_809, 78_796_810, 78_796_811, 1_483_228_835, 1_483_228_836, 1_483_228_837];

interface Labels {
  readonly count: number;
  readonly seed: number;
  /** All are before this TAI second. */
  readonly end: number;
  /** Some are in capitals. */
  readonly hasCapitals: boolean;
}

/** Lines with labels from 1970 on, those of leap seconds first. */
function randomLabels({ count, seed, end, hasCapitals }: Labels): Buffer {
  const random = randomNumbers(seed);
  const lines = Array.from({ length: count }, (_, index) => {
    const second = LEAPS[index] ?? 20 + random(end - 20);
    const label = (0x4000_0000_0000_0000n + BigInt(second)).toString(16);
    const digits = `${label}${random(1_000_000_000).toString(16).padStart(8, "0")}`;
    return `@${hasCapitals && random(8) === 0 ? digits.toUpperCase() : digits} ${index}\n`;
  });
  return Buffer.from(lines.join(""));
}

/** Both write the same: a local time for every label. */
async function expectSame(theirs: string, options: RunOptions, zone: string): Promise<void> {
  await using scene = await newScene();
  const expected = (await scene.execute(theirs, [], options).finished()).exits(0).stdout;
  const env = { TZ: zone };
  const shown = (await scene.run("s6-tai64nlocal", [], { ...options, env })).exits(0).stdout;
  expect(expected.match(/^\d+-/gm)?.length).toBe(expected.match(/\n/g)?.length);
  expect(shown === expected).toBe(true);
}

/** Declares the tests, with so many labels for each zone. */
export function labelsConformance(count: number): void {
  const whyNot = `${s6.why}${zones.why}`;
  describe.skipIf(whyNot !== "")(`${count} labels, as by s6's s6-tai64nlocal${whyNot}`, () => {
    test.each(ZONES)(
      "labels become the same local time as by s6-tai64nlocal of s6 in %s",
      { timeout: TIMEOUT_MS },
      async (TZ) => {
        const input = randomLabels({ count, seed: TZ.length, end: 2 ** 32, hasCapitals: true });
        await expectSame(s6.path, { input, env: { TZ } }, TZ);
      },
    );
  });

  // It knows those leap seconds that localtime(3) knows, in the zones of right/, and these know the future
  // for a year or two only. Capitals crash it.
  const whyNeither = `${daemontools.why}${rightZones.why}`;
  const title = `${count} labels, as by daemontools' tai64nlocal${whyNeither}`;
  describe.skipIf(whyNeither !== "")(title, () => {
    test.each(["UTC", "Europe/Berlin"])(
      "labels become the same local time as by s6-tai64nlocal of s6 in %s",
      { timeout: TIMEOUT_MS },
      async (zone) => {
        const input = randomLabels({ count, seed: 7, end: 1_750_000_000, hasCapitals: false });
        await expectSame(daemontools.path, { input, env: { TZ: `right/${zone}` } }, zone);
      },
    );
  });
}
