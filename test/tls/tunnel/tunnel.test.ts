/** The tunnel between real descriptors, with node:tls on an ordinary socket as the peer. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as nextRound } from "node:timers/promises";
import { connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock/index.ts";
import type { HandshakeSlot, QueuedHandshake } from "../../../src/tls/handshake/turns.ts";
import { Tunnel } from "../../../src/tls/tunnel/tunnel.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { openConnection } from "./connections.ts";
import { openTunnel as open, SIDE, posix, SETTINGS } from "./tunnels.ts";

/** All that a stream brings; it is not destroyed by that. */
async function read(stream: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk)).resume();
  await new Promise((resolve) => stream.once("end", resolve).once("close", resolve));
  return Buffer.concat(chunks).toString("latin1");
}

test("bytes go both ways, and each side sees the other's end", async () => {
  const scene = await open();
  scene.peer.write("from the peer");
  scene.stdout.end("from the program");
  const received = read(scene.peer);
  expect(await received).toBe("from the program");
  scene.peer.end();
  expect(await read(scene.stdin)).toBe("from the peer");
  expect(await scene.end()).toEqual({ exitCode: 0, message: undefined });
});

describe("the program closes first", () => {
  test("the peer of a program that closes first can still send its last bytes", async () => {
    const scene = await open();
    scene.stdout.end("that is all");
    expect(await read(scene.peer)).toBe("that is all");
    scene.peer.end("not quite");
    expect(await read(scene.stdin)).toBe("not quite");
  });

  test("all bytes of a program that closes first arrive, though it exits at once", async () => {
    const scene = await open();
    const text = "x".repeat(3_000_000);
    scene.stdout.end(text);
    scene.stdin.destroy();
    expect(await read(scene.peer)).toBe(text);
    scene.peer.destroy();
    expect((await scene.end()).exitCode).toBe(0);
  });

  test("a peer that goes on sending to a program that has exited is not reset", async () => {
    const scene = await open();
    scene.stdin.destroy();
    scene.peer.write("y".repeat(500_000));
    scene.stdout.end("answer");
    expect(await read(scene.peer)).toBe("answer");
    scene.peer.end();
    expect((await scene.end()).exitCode).toBe(0);
  });
});

describe("the peer closes first", () => {
  test("a peer that closes first with close_notify gives the program an end of file and gets its answer", async () => {
    const scene = await open();
    scene.peer.end("question");
    expect(await read(scene.stdin)).toBe("question");
    scene.stdout.end("answer");
    expect(await read(scene.peer)).toBe("answer");
    expect((await scene.end()).exitCode).toBe(0);
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a peer may close first before the program is there: %s",
    async (version) => {
      const scene = await open({}, { maxVersion: version }, (socket, peer) => {
        peer.end();
        return once(socket, "end");
      });
      expect(await read(scene.stdin)).toBe("");
      scene.stdout.end("nothing to do");
      expect(await read(scene.peer)).toBe("nothing to do");
      expect(await scene.end()).toEqual({ exitCode: 0, message: undefined });
    },
  );

  test("a peer that closes first without close_notify is served like one with it", async () => {
    const scene = await open();
    scene.peer.write("question", () => scene.plain.end());
    expect(await read(scene.stdin)).toBe("question");
    scene.stdout.end("answer");
    expect((await scene.end()).exitCode).toBe(0);
  });

  test("a peer that closes first without close_notify where that is enforced fails the tunnel", async () => {
    const scene = await open({ enforcesCloseNotify: true });
    scene.peer.write("question", () => scene.plain.end());
    expect(await read(scene.stdin)).toBe("question");
    expect(await scene.end()).toEqual({
      exitCode: 98,
      message: "remote closed connection without a close_notify",
    });
  });

  test("a peer that closes first with close_notify where that is enforced is no error, coalesced or not", async () => {
    const scene = await open({ enforcesCloseNotify: true });
    scene.plain.cork();
    scene.peer.end("question");
    scene.plain.uncork();
    expect(await read(scene.stdin)).toBe("question");
    scene.stdout.end();
    expect((await scene.end()).exitCode).toBe(0);
  });

  test("a peer that closes first inside a record fails the tunnel", async () => {
    const scene = await open();
    scene.plain.end(Buffer.from([23, 3, 3, 0, 40, 1, 2, 3]));
    expect(await read(scene.stdin)).toBe("");
    expect((await scene.end()).message).toContain("inside a record");
  });

  test("a peer's close_notify ends both directions with full-close", async () => {
    const scene = await open({ closesBothWays: true });
    scene.peer.end("question");
    expect(await read(scene.stdin)).toBe("question");
    expect(await scene.end()).toEqual({ exitCode: 0, message: undefined });
    await new Promise((resolve) => scene.stdout.write("x", resolve));
  });
});

test("close_notify is sent when asked for, and the peer's answer awaited", async () => {
  const scene = await open({ sendsCloseNotify: true });
  scene.stdout.end("that is all");
  expect(await read(scene.peer)).toBe("that is all");
  scene.peer.end();
  expect((await scene.end()).exitCode).toBe(0);
});

test("an invalid record ends the tunnel, and is reported", async () => {
  const scene = await open();
  scene.plain.write(Buffer.from([23, 3, 3, 0, 40, ...Buffer.alloc(40, 0x55)]));
  expect(await scene.end()).toMatchObject({ exitCode: 98 });
});

test("bytes that arrived in one piece with an invalid record are still delivered", async () => {
  const scene = await open();
  scene.plain.cork();
  scene.peer.write("the last line");
  scene.plain.write(Buffer.from([23, 3, 3, 0, 40, ...Buffer.alloc(40, 0x55)]));
  scene.plain.uncork();
  expect(await read(scene.stdin)).toBe("the last line");
  expect(await scene.end()).toMatchObject({ exitCode: 98 });
});

test("a handshake that does not begin is given up", async () => {
  const { fd, plain } = await openConnection(posix);
  const network = { read: fd, write: fd };
  const options = { ...SETTINGS, handshakeTimeoutMs: 20, posix, clock: systemClock, side: SIDE };
  const tunnel = new Tunnel({ ...options, network });
  expect(await tunnel.handshake()).toEqual({
    kind: "failed",
    end: { exitCode: 98, message: "handshake timed out" },
  });
  plain.destroy();
});

test("a connection that ends before the handshake fails", async () => {
  const { fd, plain } = await openConnection(posix);
  const network = { read: fd, write: fd };
  const tunnel = new Tunnel({ ...SETTINGS, posix, clock: systemClock, side: SIDE, network });
  plain.end();
  const handshake = await tunnel.handshake();
  expect(handshake).toMatchObject({ kind: "failed", end: { exitCode: 98 } });
});

test("an idle connection is ended where idleness has a limit", async () => {
  const scene = await open({ idleTimeoutMs: 30 });
  expect(await scene.end()).toMatchObject({ exitCode: 98, message: "idle for 30 milliseconds" });
});

test("slow readers on both sides hold up the other, and nothing is lost", async () => {
  const scene = await open();
  const text = "z".repeat(8_000_000);
  scene.peer.end(text);
  scene.stdout.end(text);
  scene.stdin.pause();
  await new Promise((resolve) => setImmediate(resolve));
  expect(scene.peer.writableLength).toBeGreaterThan(1_000_000);
  const [atProgram, atPeer] = await Promise.all([read(scene.stdin), read(scene.peer)]);
  expect(atProgram).toBe(text);
  expect(atPeer).toBe(text);
  expect((await scene.end()).exitCode).toBe(0);
});

test("bytes that wait in one tunnel are not affected by other tunnels", async () => {
  const [slow, ...others] = await Promise.all([open(), open(), open()]);
  const text = (letter: string): string => letter.repeat(3_000_000);
  slow.peer.end(text("s"));
  slow.stdout.end(text("S"));
  slow.stdin.pause(); // nor does the peer read
  for (const { peer, stdout, stdin } of others) {
    peer.end(text("o"));
    stdout.end(text("O"));
    const [atProgram, atPeer] = await Promise.all([read(stdin), read(peer)]);
    expect(atProgram === text("o") && atPeer === text("O")).toBe(true);
  }
  const [atProgram, atPeer] = await Promise.all([read(slow.stdin), read(slow.peer)]);
  expect(atProgram === text("s") && atPeer === text("S")).toBe(true);
});

test("any pieces arrive as they were sent, both ways", async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(pieces, pieces, fc.boolean(), async (theirs, ours, saysCloseNotify) => {
      const scene = await open({}, {});
      const sent = theirs.map((length, at) => String.fromCharCode(65 + at).repeat(length));
      const answer = ours.map((length, at) => String.fromCharCode(97 + at).repeat(length));
      for (const piece of sent) scene.peer.write(piece);
      for (const piece of answer) scene.stdout.write(piece);
      scene.stdout.end();
      if (saysCloseNotify) scene.peer.end();
      else scene.peer.write("", () => scene.plain.end());
      const [atProgram, atPeer] = await Promise.all([read(scene.stdin), read(scene.peer)]);
      expect(atProgram).toBe(sent.join(""));
      expect(atPeer).toBe(answer.join(""));
      expect((await scene.end()).exitCode).toBe(0);
    }),
    { numRuns: 40 },
  );
});

describe("a handshake in a queue", () => {
  /** The place of a handshake whose turns never come, and all that its tunnel does with it. */
  class Standstill implements HandshakeSlot {
    readonly calls: string[] = [];
    refuse: () => void = () => undefined;

    enter({ refuse }: QueuedHandshake): void {
      this.calls.push("enter");
      this.refuse = refuse;
    }

    takeTurn(): void {
      this.calls.push("takeTurn");
    }

    leave(): void {
      this.calls.push("leave");
    }
  }

  async function newWaiting() {
    const { fd, plain } = await openConnection(posix);
    const clock = new FakeClock();
    const slot = new Standstill();
    const network = { read: fd, write: fd };
    const limits = { handshakeTimeoutMs: 20 };
    const tunnel = new Tunnel({ ...SETTINGS, ...limits, posix, clock, side: SIDE, network, slot });
    return { fd, plain, clock, slot, tunnel };
  }

  test("a handshake in a queue that waits for its place is ended by its time limit, and leaves", async () => {
    const { fd, plain, clock, slot, tunnel } = await newWaiting();
    clock.advance(19);
    expect(posix.isOpen(fd)).toBe(true);
    clock.advance(1);
    expect(await tunnel.ended).toEqual({ exitCode: 98, message: "handshake timed out" });
    expect(slot.calls).toEqual(["enter", "leave"]);
    expect(posix.isOpen(fd)).toBe(false);
    expect(clock.pendingTimers).toBe(0);
    plain.destroy();
  });

  test("a handshake in a queue that is refused has failed without a message, for the queue has one for all", async () => {
    const { fd, plain, slot, tunnel } = await newWaiting();
    slot.refuse();
    const end = { exitCode: 98, message: undefined };
    expect(await tunnel.handshake()).toEqual({ kind: "failed", end });
    expect(await tunnel.ended).toEqual(end);
    expect(slot.calls).toEqual(["enter", "leave"]);
    expect(posix.isOpen(fd)).toBe(false);
    plain.destroy();
  });

  test("a handshake in a queue takes a turn for each message of its client, and leaves when it is done", async () => {
    const { fd, plain } = await openConnection(posix);
    const works: (() => void)[] = [];
    let hasLeft = false;
    const slot: HandshakeSlot = {
      enter: ({ begin }) => begin(),
      takeTurn: (work) => works.push(work),
      leave: () => (hasLeft = true),
    };
    const network = { read: fd, write: fd };
    const tunnel = new Tunnel({
      ...SETTINGS,
      posix,
      clock: systemClock,
      side: SIDE,
      network,
      slot,
    });
    const peer = connect({ socket: plain, rejectUnauthorized: false });
    const isConnected = once(peer, "secureConnect");
    let turns = 0;
    while (!hasLeft) {
      while (works.length === 0) await nextRound();
      expect(works.length).toBe(1);
      works.pop()?.();
      turns += 1;
      await nextRound(); // what it does in the next ticks
    }
    expect(turns).toBe(3); // its beginning, and the two messages of the client
    expect(await tunnel.handshake()).toMatchObject({ kind: "secured" });
    await isConnected;
    tunnel.abort();
    await tunnel.ended;
    peer.destroy();
  });
});
