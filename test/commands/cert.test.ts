import { statSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene } from "../support/scene.ts";

import type { Scene } from "../support/scene.ts";

const NAME = "ucspi-cert";
const FINGERPRINT = /^SHA256:[0-9a-f]{64}\n$/;

function modeOf(scene: Scene, name: string): number {
  return statSync(scene.path(name)).mode & 0o777;
}

describe("ucspi-cert", () => {
  test("ucspi-cert makes an authority, with a key for its owner only", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["ca", "--name=Example CA", "tls"]);
    run.exits(EXIT.ok).stdoutMatches(FINGERPRINT).stderrIs("");
    expect(modeOf(scene, "tls/ca.key")).toBe(0o600);
    const shown = await scene.run(NAME, ["show", "tls/ca.pem"]);
    shown.exits(EXIT.ok).stdoutMatches(/^ {2}subject: {5}CN=Example CA$/m);
  });

  test("ucspi-cert makes the authority with the first certificate of a server, and says so", async () => {
    await using scene = await newScene();
    const first = await scene.run(NAME, ["server", "tls", "*.example.org", "192.0.2.1"]);
    first.exits(EXIT.ok).stderrIs(`${NAME}: info: made the authority tls/ca.pem\n`);
    expect(modeOf(scene, "tls/_.example.org.key")).toBe(0o600);
    (await scene.run(NAME, ["server", "tls", "localhost"])).exits(EXIT.ok).stderrIs("");
    const shown = await scene.run(NAME, ["show", "tls/_.example.org.pem"]);
    shown.stdoutMatches(/names: {7}DNS:\*\.example\.org, IP Address:192\.0\.2\.1\n/);
  });

  test("ucspi-cert makes a client's certificate and prints its fingerprint", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["client", "tls", "alice@example.org", "--days", "30"]);
    run.exits(EXIT.ok).stdoutMatches(FINGERPRINT);
    const shown = await scene.run(NAME, ["show", "tls/alice@example.org.pem"]);
    shown.stdoutMatches(new RegExp(`fingerprint: ${run.stdout}$`));
  });

  test("ucspi-cert leaves files alone that are there, unless it is forced to", async () => {
    await using scene = await newScene({ files: { "tls/localhost.pem": "mine" } });
    const run = await scene.run(NAME, ["server", "tls", "localhost"]);
    run
      .exits(EXIT.usage)
      .stderrMatches(/^ucspi-cert: fatal: tls\/localhost\.pem is there already; --force .*\n$/);
    expect([scene.read("tls/localhost.pem"), scene.has("tls/localhost.key")]).toEqual([
      "mine",
      false,
    ]);
    (await scene.run(NAME, ["server", "-f", "tls", "localhost"])).exits(EXIT.ok);
    expect(scene.read("tls/localhost.pem")).toMatch(/^-----BEGIN CERTIFICATE/);
  });

  test("ucspi-cert does not follow a symbolic link in the place of the key", async () => {
    await using scene = await newScene({ files: { "tls/": "" } });
    symlinkSync(scene.path("stolen"), scene.path("tls/localhost.key"));
    (await scene.run(NAME, ["server", "tls", "localhost"])).exits(EXIT.usage);
    expect(scene.has("stolen")).toBe(false);
  });

  test("ucspi-cert renews a certificate with the same key and names", async () => {
    await using scene = await newScene();
    await scene.run(NAME, ["server", "tls", "localhost", "::1"]);
    const [key, old] = [scene.read("tls/localhost.key"), scene.read("tls/localhost.pem")];
    (await scene.run(NAME, ["server", "--renew", "tls", "localhost"])).exits(EXIT.ok);
    expect(scene.read("tls/localhost.key")).toBe(key);
    expect(scene.read("tls/localhost.pem")).not.toBe(old);
    const shown = await scene.run(NAME, ["show", "tls/localhost.pem"]);
    shown.stdoutMatches(/DNS:localhost, IP Address:0:0:0:0:0:0:0:1/);
  });

  test.each([
    [["frobnicate"], /no such action: frobnicate\n/],
    [["server", "tls"], /too few operands: server dir name\.\.\.\n/],
    [["ca", "tls", "x"], /too many operands: ca dir\n/],
    [["show", "-d3", "x"], /--days means nothing to show\n/],
    [["server", "--renew", "-t", "p384", "tls", "a"], /--renew keeps the key/],
    [["server", "--renew", "tls", "a"], /tls\/a\.pem is not there to be renewed\n$/],
    [["server", "tls", "ca"], /ca is the name of the authority\n$/],
    [["server", "tls", "bücher.example"], /xn--\n$/],
    [["client", "tls", "../x"], /not a client's name/],
    [["ca", "--days=0", "tls"], /days must be a number of days from 1 to 36500: 0\n/],
  ])("ucspi-cert refuses the command line %j", async (words, why) => {
    await using scene = await newScene();
    (await scene.run(NAME, words)).exits(EXIT.usage).stdoutIs("").stderrMatches(why);
    expect(scene.has("tls")).toBe(false);
  });

  test("ucspi-cert exits 111 for a file that cannot be read", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["show", "missing.pem"]);
    run.exits(EXIT.system);
    run.stderrIs(`${NAME}: fatal: unable to read missing.pem: No such file or directory\n`);
  });

  test("ucspi-cert refuses a file that is no PKCS #12, and one without end", async () => {
    await using scene = await newScene({ files: { "x.p12": "junk", secret: "x\n" } });
    const run = await scene.run(NAME, ["import", "-p", "secret", "x.p12", "tls"]);
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: x.p12: not a PKCS #12 file\n`);
    const endless = await scene.run(NAME, ["import", "/dev/zero", "tls"], { input: "x\n" });
    endless.exits(EXIT.usage).stderrMatches(/longer than 1048576 bytes\n$/);
  });

  test("ucspi-cert prints its usage wherever --help stands", async () => {
    await using scene = await newScene();
    (await scene.run(NAME, ["ca", "--help"])).exits(EXIT.ok).stdoutMatches(/^usage: ucspi-cert /m);
  });
});
