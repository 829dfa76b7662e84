/**
 * Long storms on the TCP super-server: `npm run fuzz`. RUNS says how many connections there are in the
 * first, 200,000 unless given.
 */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene } from "../support/scene.ts";
import { dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const CONNECTIONS = Number(process.env["RUNS"] ?? 200_000);

interface Weight {
  readonly descriptors: number;
  readonly residentKiB: number;
}

function weigh(pid: number): Weight {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const [, resident = "0"] = /^VmRSS:\s+(\d+)/m.exec(status) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, residentKiB: Number(resident) };
}

/** Many clients at a time from many addresses; each does what `visit` says. */
async function storm(
  connections: number,
  visit: (number: number, from: string) => Promise<void>,
): Promise<void> {
  let next = 0;
  const clients = Array.from({ length: 40 }, async () => {
    while (next < connections) {
      const number = next;
      next += 1;
      await visit(number, `127.0.${number % 200}.${1 + (number % 250)}`);
    }
  });
  await Promise.all(clients);
}

describe("the TCP server", () => {
  test(
    "the TCP server uses the same memory after very many connections",
    { timeout: 0 },
    async () => {
      await using scene = await newScene({ files: { "rules/ip4/127.0.0.0_8/allow": "" } });
      const gate = ["s6-tcpserver-access", "-v0", "-H", "-i", "rules"];
      const { port, process } = await startServer(scene, "-q -c 100 -C 100", [...gate, "true"]);
      const tenth = Math.ceil(CONNECTIONS / 10);
      const weights: Weight[] = [];
      const startedAt = performance.now();
      for (let part = 0; part < 10; part += 1) {
        await storm(tenth, async (_, from) => {
          await using client = await dial(port, { from });
          await client.rest();
        });
        weights.push(weigh(process.pid));
      }
      const perSecond = (tenth * 10_000) / (performance.now() - startedAt);
      console.log(`${Math.round(perSecond)} connections/s; ${JSON.stringify(weights)}`);
      const [, early, ...later] = weights;
      const last = later.at(-1);
      expect(last?.descriptors).toBeLessThanOrEqual((early?.descriptors ?? 0) + 40);
      expect(last?.residentKiB).toBeLessThanOrEqual((early?.residentKiB ?? 0) * 1.2 + 8192);
      process.signal("SIGUSR2");
      (await process.finished()).exits(EXIT.ok);
    },
  );

  test("the TCP server goes on through resets, signals and silence", { timeout: 0 }, async () => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-q -c 60 -C 5", ["cat"]);
    await storm(CONNECTIONS / 5, async (number, from) => {
      try {
        await using client = await dial(port, { from });
        if (number % 3 > 0) client.write("x".repeat(number % 5000));
        if (number % 5 === 0) client.reset();
        else if (number % 7 > 0) client.end();
        else client.socket.destroy();
        await client.rest();
      } catch {
        // Refused or reset: all the server owes anybody is to live on.
      }
      if (number % 2000 === 1999) process.signal("SIGHUP");
    });
    await using calm = await dial(port);
    calm.end("calm");
    expect(await calm.rest()).toBe("calm");
    process.signal("SIGUSR2");
    (await process.finished()).exits(EXIT.ok);
  });
});
