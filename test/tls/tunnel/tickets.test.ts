/** The tickets of TLS 1.3: kept from peers that do not read, and there for those that do. */

import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock/index.ts";
import { Tunnel } from "../../../src/tls/tunnel/tunnel.ts";
import { openConnection } from "./connections.ts";
import { EndingPeer } from "./ending-peer.ts";
import { openTunnel, posix, SETTINGS, SIDE } from "./tunnels.ts";

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a client that never reads and closes at once loses nothing to tickets: %s",
  async (maxVersion) => {
    const { fd, plain } = await openConnection(posix);
    const peer = new EndingPeer(plain, "client", { maxVersion });
    const network = { read: fd, write: fd };
    const tunnel = new Tunnel({ ...SETTINGS, posix, clock: systemClock, side: SIDE, network });
    await Promise.all([tunnel.handshake(), peer.secured]);
    plain.pause();
    const bytes = 1_000_000; // more than has been acknowledged when it closes
    await new Promise((resolve) => peer.tls.write(Buffer.alloc(bytes, "x"), resolve));
    plain.destroy();
    await once(plain, "close");
    const [toTunnel, fromProgram] = posix.pipe();
    const [toProgram, fromTunnel] = posix.pipe();
    posix.close(fromProgram);
    tunnel.relay({ read: toTunnel, write: fromTunnel });
    posix.setNonblocking(toProgram, true);
    expect(await countAll(toProgram)).toBe(bytes);
    expect(await tunnel.ended).toEqual({ exitCode: 0, message: undefined });
    posix.close(toProgram);
  },
);

async function countAll(fd: Parameters<typeof posix.read>[0]): Promise<number> {
  const buffer = Buffer.alloc(65_536);
  let total = 0;
  for (;;) {
    const count = posix.read(fd, buffer);
    if (count === 0) return total;
    total += count ?? 0;
    if (count === undefined) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a client that reads", () => {
  test("a client gets its tickets with the first bytes of the program, and not before", async () => {
    const scene = await openTunnel();
    let tickets = 0;
    scene.peer.on("session", () => (tickets += 1));
    scene.peer.write("question");
    await once(scene.stdin, "data");
    expect(scene.plain.bytesRead).toBe(await settled(() => scene.plain.bytesRead));
    expect(tickets).toBe(0);
    scene.stdout.write("answer");
    const [answer] = (await once(scene.peer, "data")) as [Buffer];
    expect(answer.toString()).toBe("answer");
    expect(tickets).toBeGreaterThan(0);
    scene.peer.end();
    scene.stdout.end();
    scene.stdin.resume();
    expect((await scene.end()).exitCode).toBe(0);
  });

  test("a client gets its tickets with a close_notify where the program writes nothing", async () => {
    const scene = await openTunnel({ sendsCloseNotify: true });
    let tickets = 0;
    scene.peer.on("session", () => (tickets += 1));
    scene.stdout.end();
    scene.peer.resume();
    await once(scene.peer, "end");
    expect(tickets).toBeGreaterThan(0);
    scene.peer.end();
    expect((await scene.end()).exitCode).toBe(0);
  });
});

/** What a value is some turns of the event loop later. */
async function settled(value: () => number): Promise<number> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return value();
}
