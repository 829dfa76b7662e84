import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { newScene, peer, ROOT } from "../support/scene.ts";
import { ask, askPath } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

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

test("the example of a local server greets each user, and drains", async () => {
  await using scene = await newScene();
  const words = [join(ROOT, "examples", "local.mjs"), "socket"];
  const example = scene.execute(process.execPath, words);
  await example.line(/^ready$/);
  const uid = process.getuid?.();
  expect(await askPath(scene.path("socket"))).toBe(`hello, user ${uid}, client 0 by IPC\n`);
  example.signal("SIGTERM");
  (await example.finished()).exits(0).stdoutMatches(/^drained$/m);
});

const curl = peer("curl");
const mailDrop = `the mail drop takes mail from curl after STARTTLS, and none before${curl.why}`;

test.skipIf(curl.isMissing)(mailDrop, async () => {
  await using scene = await newScene({ files: { mail: "Subject: hello\n\nhow are you?\n" } });
  const { serverEnvironment, caFile } = makeCertificates(scene.directory);
  const drop = ["s6-ucspitlsd", join(ROOT, "examples", "maildrop.sh"), "drop"];
  const { port } = await startServer(scene, "", drop, { env: serverEnvironment });
  const words = ["-sS", "--cacert", caFile, "--mail-from", "me@here", "--mail-rcpt", "you@there"];
  const url = `smtp://localhost:${port}`;
  const connectTo = ["--resolve", `localhost:${port}:127.0.0.1`, "-T", "mail", url];
  const inClear = await scene.execute(curl.path, [...words, ...connectTo]).finished();
  inClear.stderrMatches(/530/);
  const secured = await scene.execute(curl.path, ["--ssl-reqd", ...words, ...connectTo]).finished();
  secured.exits(0);
  const [name = ""] = readdirSync(scene.path("drop/new"));
  const message = readFileSync(scene.path(`drop/new/${name}`), "utf8");
  expect(message).toMatch(/^Received: from 127\.0\.0\.1 .* \(TLSv1\.3\)\n/);
  expect(message).toContain("how are you?");
});
