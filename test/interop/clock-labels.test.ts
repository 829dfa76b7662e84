import { expect, test } from "vitest";
import { newScene, peer } from "../support/scene.ts";
import { labelsConformance } from "./clock-labels.ts";

const s6 = peer("s6-tai64n");

labelsConformance(20_000); // `npm run fuzz` has a million

test.skipIf(s6.isMissing)(`s6-tai64n stamps as that of s6 does${s6.why}`, async () => {
  await using scene = await newScene();
  const input = "a\n\0b\n\nlast";
  const theirs = await scene.execute(s6.path, [], { input }).finished();
  const [ours, expected] = [await scene.run("s6-tai64n", [], { input }), theirs].map((run) =>
    run.exits(0).stdout.replaceAll(/^@4[0-9a-f]{23} /gm, "@ "),
  );
  expect(ours).toBe(expected);
});
