/**
 * A long storm on the local super-server: `npm run fuzz`. RUNS says how many connections there are, 100,000
 * unless given.
 */

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { newScene } from "../support/scene.ts";
import { dialPath } from "../ucspi/dial.ts";
import { startLocalServer } from "../ucspi/servers.ts";

const CONNECTIONS = Number(process.env["RUNS"] ?? 100_000);

interface Weight {
  readonly descriptors: number;
  readonly residentKiB: number;
}

function weigh(pid: number): Weight {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const [, resident = "0"] = /^VmRSS:\s+(\d+)/m.exec(status) ?? [];
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, residentKiB: Number(resident) };
}

/** Many clients at a time; some leave without a word. */
async function storm(path: string, connections: number): Promise<void> {
  let next = 0;
  const clients = Array.from({ length: 40 }, async () => {
    while (next < connections) {
      const number = next;
      next += 1;
      await using client = await dialPath(path);
      if (number % 7 === 0) client.socket.destroy();
      else await client.rest();
    }
  });
  await Promise.all(clients);
}

test(
  "the local server uses the same memory after very many connections",
  { timeout: 0 },
  async () => {
    await using scene = await newScene({ files: { "rules/uid/default/allow": "" } });
    const gate = ["s6-ipcserver-access", "-v0", "-i", "rules"];
    const { path, process } = await startLocalServer(scene, "-q -c 100 -C 100", [...gate, "true"]);
    const tenth = Math.ceil(CONNECTIONS / 10);
    const weights: Weight[] = [];
    const startedAt = performance.now();
    for (let part = 0; part < 10; part += 1) {
      await storm(path, tenth);
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
