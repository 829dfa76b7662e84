import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newScene, ROOT } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";

const RULES = readFileSync(join(ROOT, "examples", "rules.txt"), "utf8");

test("the library's example serves a function and a chain, under the rules, and drains", async () => {
  await using scene = await newScene();
  (await scene.run("s6-tcprules", ["rules.cdb"], { input: RULES })).exits(0);
  const example = scene.execute(process.execPath, [
    join(ROOT, "examples", "library.mjs"),
    "rules.cdb",
  ]);
  const [, greeter = ""] = await example.line(/^greeter (\d+)$/);
  const [, clock = ""] = await example.line(/^clock (\d+)$/);
  expect(await ask(Number(greeter))).toBe("hello, 127.0.0.1, client 0: 127.0.0.1\n");
  expect(await ask(Number(clock))).toMatch(/^\d{4}\n$/);
  expect(await ask(Number(greeter), "", { from: "127.0.0.2" })).toBe("");
  await example.line(/^refused 127\.0\.0\.2: rule ip4\/127\.0\.0\.0_8$/);
  example.signal("SIGTERM");
  (await example.finished()).exits(0).stdoutMatches(/^drained$/m);
});
