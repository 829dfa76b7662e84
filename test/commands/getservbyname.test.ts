import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene } from "../support/scene.ts";

test.each([
  ["25", "bogus", "25\n"],
  ["0", "tcp", "0\n"],
  ["65535", "tcp", "65535\n"],
  ["0080", "tcp", "80\n"],
  ["smtp", "tcp", "25\n"],
  ["domain", "udp", "53\n"],
])("s6-getservbyname %s %s prints the port", async (name, protocol, expected) => {
  await using scene = await newScene();
  const run = await scene.run("s6-getservbyname", [name, protocol]);
  run.exits(EXIT.ok).stdoutIs(expected).stderrIs("");
});

test.each([
  ["nosuch", "tcp"],
  ["smtp", "nosuch"],
  ["65536", "tcp"],
  ["-1", "tcp"],
  ["", "tcp"],
])("s6-getservbyname %j %j finds no port and prints nothing", async (name, protocol) => {
  await using scene = await newScene();
  const run = await scene.run("s6-getservbyname", [name, protocol]);
  run.exits(EXIT.refused).stdoutIs("").stderrIs("");
});

test.each([[[]], [["smtp"]]])("s6-getservbyname %j is a usage error", async (words) => {
  await using scene = await newScene();
  const run = await scene.run("s6-getservbyname", words);
  run.exits(EXIT.usage).stderrMatches(/^s6-getservbyname: usage: /m);
});

test("s6-getservbyname reports that its output cannot be written", async () => {
  await using scene = await newScene();
  const run = await scene.shell("s6-getservbyname 25 tcp >/dev/full");
  run.exits(EXIT.system);
  expect(run.stderr).toMatch(/^s6-getservbyname: fatal: unable to write to stdout: /);
});
