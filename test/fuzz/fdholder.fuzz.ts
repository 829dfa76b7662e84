/**
 * 100,000 random operations on fd holders, whose clients are killed at random points, and audits of the
 * holder's descriptors, across upgrades too: `npm run fuzz`. OPERATIONS says how many.
 */

import { expect, test } from "vitest";
import { audit, storm } from "../support/fd-audit.ts";
import { ruleFiles, startHolder } from "../support/fd-holder.ts";
import { newScene } from "../support/scene.ts";
import type { SceneProcess } from "../support/scene.ts";

const OPERATIONS = Number(process.env["OPERATIONS"] ?? 100_000);
const SEED = Number(process.env["SEED"] ?? Date.now() % 1e6);
const UPGRADES = 5;

test(
  "a holder has open exactly what its table names, whatever becomes of clients and holders",
  { timeout: 0 },
  async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const path = scene.path("s");
    let holder: SceneProcess = await startHolder(scene);
    console.log(`${OPERATIONS} operations, seed ${SEED}`);
    for (let upgrade = 0; upgrade <= UPGRADES; upgrade += 1) {
      await storm(path, OPERATIONS / (UPGRADES + 1), SEED + 100_000 * upgrade);
      const { named, open } = await audit(path, holder.pid);
      expect(open).toEqual(named);
      console.log(`${named.length} descriptors held, ${open.length} open`);
      const raging = storm(path, 500, SEED - upgrade);
      const words = ["-1", "--take-over", "-i", "rules", "s"];
      const successor = scene.start("s6-fdholder-daemon", words);
      await successor.line(/^$/);
      (await holder.finished()).exits(0);
      await raging;
      holder = successor;
    }
  },
);
