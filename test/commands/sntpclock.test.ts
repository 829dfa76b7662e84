import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";

import { EXIT } from "../../src/chain/index.ts";
import { ntp64FromUnix, parseOffset } from "../../src/clock/sync/index.ts";
import { nonceOf, sntpAnswer } from "../clock/sync/packets.ts";
import { newScene } from "../support/scene.ts";

import type { Socket } from "node:dgram";
import type { SntpFields } from "../clock/sync/packets.ts";

const servers: Socket[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server an hour ahead, whose n-th answer (from 1) has these fields; its port. */
async function serve(
  fieldsOf: (number: number) => Partial<SntpFields> | undefined,
): Promise<string> {
  const server = createSocket("udp4");
  servers.push(server);
  let number = 0;
  server.on("message", (request: Buffer, from) => {
    number += 1;
    const fields = fieldsOf(number);
    if (fields === undefined) return;
    const now = ntp64FromUnix(BigInt(Date.now() + 3_600_000) * 1_000_000n) ?? 0n;
    const answer = { origin: nonceOf(request), receive: now, transmit: now, ...fields };
    server.send(sntpAnswer(answer), from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  return String(server.address().port);
}

describe("s6-sntpclock", () => {
  test("s6-sntpclock prints how far the clock is off", async () => {
    await using scene = await newScene();
    const port = await serve(() => ({}));
    const run = await scene.run("s6-sntpclock", ["-e5000", "-r", "3", "-p", port, "127.0.0.1"]);
    run.exits(EXIT.ok).stderrIs("");
    expect(run.stdoutBytes).toHaveLength(12);
    const seconds = Number(parseOffset(run.stdoutBytes)) / 1e9;
    expect(Math.abs(seconds - 3600)).toBeLessThan(5);
  });

  test("s6-sntpclock -v2 reports a failed exchange, and goes on", async () => {
    await using scene = await newScene();
    const port = await serve((number) => (number === 2 ? { leap: 3 } : {}));
    const words = ["-v2", "-e", "5000", "-r3", "-p", port, "127.0.0.1"];
    const run = await scene.run("s6-sntpclock", words);
    run.exits(EXIT.ok);
    expect(run.stderr).toBe(
      "s6-sntpclock: info: NTP round-trip 2/3 failed: the server is not synchronised\n" +
        "s6-sntpclock: warning: only 2 server exchanges succeeded out of 3 - " +
        "uncertainty may be higher than expected\n",
    );
  });

  test("s6-sntpclock -v3 reports the packets of each exchange", async () => {
    await using scene = await newScene();
    const port = await serve(() => ({ leap: 1, stratum: 3 }));
    const run = await scene.run("s6-sntpclock", ["-v3", "-fr1", "-p", port, "127.0.0.1"]);
    run.exits(EXIT.ok).stderrMatches(/info: NTP round-trip 1\/1$/m);
    run.stderrMatches(/info: server: stratum 3, leap second: insert$/m);
    run.stderrMatches(/info: stamp\[3\] : taia: 4[0-9a-f]{23}, ntp: [0-9a-f]{16}$/m);
    run.stderrMatches(/info: localdate: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}$/m);
  });

  test.each([
    [{ stratum: 0, referenceId: "DENY" }, "kiss-o'-death DENY"],
    [{ leap: 3 }, "the server is not synchronised"],
    [{ mode: 1 }, "the answer is of version 4, mode 1"],
  ])("s6-sntpclock exits 1 when the only answer it gets is %j", async (fields, why) => {
    await using scene = await newScene();
    const port = await serve(() => fields);
    const run = await scene.run("s6-sntpclock", ["-r2", "-p", port, "127.0.0.1"]);
    run.exits(EXIT.refused).stdoutIs("");
    expect(run.stderr).toBe(
      `s6-sntpclock: fatal: unable to contact NTP server at 127.0.0.1: ${why}\n`,
    );
  });

  test.each([
    [{ length: 47 }, "the answer is too short"],
    [{ origin: Buffer.alloc(8) }, "the answer is not to our request"],
  ])("s6-sntpclock waits for a better answer than %j", async (fields, why) => {
    await using scene = await newScene();
    const port = await serve(() => fields);
    const run = await scene.run("s6-sntpclock", ["-r1", "-t", "50", "-p", port, "127.0.0.1"]);
    run.exits(EXIT.refused).stderrMatches(new RegExp(`at 127.0.0.1: ${why}$`, "m"));
  });

  test("s6-sntpclock -v0 exits 1 at its deadline, without a message", async () => {
    await using scene = await newScene();
    const port = await serve(() => undefined);
    const words = ["-T", "50", "-p", port, "127.0.0.1"];
    const problem = "unable to complete series of SNTP exchanges: Connection timed out";
    const run = await scene.run("s6-sntpclock", words);
    run.exits(EXIT.refused).stderrIs(`s6-sntpclock: fatal: ${problem}\n`);
    (await scene.run("s6-sntpclock", ["-v0", ...words])).exits(EXIT.refused).stderrIs("");
  });

  test("s6-sntpclock exits 111 when the offset is too uncertain, unless it is forced", async () => {
    await using scene = await newScene();
    const port = await serve(() => ({}));
    const words = ["-e0", "-r2", "-p", port, "127.0.0.1"];
    const run = await scene.run("s6-sntpclock", words);
    run.exits(EXIT.system).stdoutIs("");
    expect(run.stderr).toMatch(
      /^s6-sntpclock: warning: maximum acceptable uncertainty: 0{24}\ns6-sntpclock: warning: current calculated uncertainty: [0-9a-f]{24}\ns6-sntpclock: fatal: time uncertainty too large\n$/,
    );
    const forced = await scene.run("s6-sntpclock", ["-f", "-v0", ...words]);
    forced.exits(EXIT.ok).stderrIs("");
    expect(forced.stdoutBytes).toHaveLength(12);
  });

  test("s6-sntpclock exits 1 when no exchange is asked for", async () => {
    await using scene = await newScene();
    (await scene.run("s6-sntpclock", ["-r0", "127.0.0.1"])).exits(EXIT.refused).stdoutIs("");
  });

  test.each([
    [[]],
    [["localhost"]],
    [["127.0.0.1x"]],
    [["-p", "70000", "127.0.0.1"]],
    [["-e", "x", "::1"]],
  ])("s6-sntpclock takes %j for a usage error", async (words) => {
    await using scene = await newScene();
    const run = await scene.run("s6-sntpclock", words);
    run.exits(EXIT.usage).stderrMatches(/^s6-sntpclock: usage: s6-sntpclock /m);
  });
});
