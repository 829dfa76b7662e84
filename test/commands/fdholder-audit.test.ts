/** The audit of s6-fdholderd's descriptors; test/fuzz has the long form. */

import { expect, test } from "vitest";
import { audit, storm } from "../support/fd-audit.ts";
import { ruleFiles, startHolder } from "../support/fd-holder.ts";
import { newScene } from "../support/scene.ts";

test("a holder has open what its table names after random clients were killed, and so has its successor", async () => {
  await using scene = await newScene({ files: ruleFiles() });
  const [path, seed] = [scene.path("s"), Date.now() % 1e6];
  const first = await startHolder(scene);
  await storm(path, 1500, seed);
  const before = await audit(path, first.pid);
  expect(before.open, `seed ${seed}`).toEqual(before.named);
  expect(before.named.length).toBeGreaterThan(5);
  const raging = storm(path, 1500, seed + 1000);
  const second = scene.start("s6-fdholder-daemon", ["-1", "--take-over", "-i", "rules", "s"]);
  await second.line(/^$/);
  (await first.finished()).exits(0);
  await raging;
  const after = await audit(path, second.pid);
  expect(after.open, `seed ${seed}`).toEqual(after.named);
});
