/** Handshakes that take turns in an event loop, with work that takes as long as a test says. */

import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { PATIENCE_MS, WAITING_PER_PLACE } from "../../../src/tls/handshake/handshake-queue.ts";
import { BURST_MS, HandshakeTurns, REPORT_INTERVAL_MS } from "../../../src/tls/handshake/turns.ts";
import type { HandshakeSlot } from "../../../src/tls/handshake/turns.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const LIMITS = { perSource: 2, inAll: 4 };

class Scene {
  readonly clock = new FakeClock();
  readonly reports: string[] = [];
  /** All that has happened, in order. */
  readonly events: string[] = [];
  readonly turns = new HandshakeTurns({
    clock: this.clock,
    report: (text) => this.reports.push(text),
  });

  constructor() {
    this.busy();
  }

  /** Handshakes have just had all their time, so that nothing more is done in this round. */
  busy(): void {
    const slot = this.turns.slot("busy", LIMITS);
    slot.enter({
      begin: () => {
        this.clock.advance(BURST_MS);
        slot.leave();
      },
      refuse: () => undefined,
    });
  }

  /** A handshake that tells what happens to it, and leaves when it is refused. */
  enter(name: string, source = name): HandshakeSlot {
    const slot = this.turns.slot(source, LIMITS);
    slot.enter({
      begin: () => this.events.push(`${name} begins`),
      refuse: () => {
        this.events.push(`${name} is refused`);
        slot.leave();
      },
    });
    return slot;
  }

  /** Let the event loop go round so many times; the rest of its work takes so long each time. */
  async rounds(count: number, roundMs = 0): Promise<void> {
    for (let round = 0; round < count; round += 1) {
      await setImmediate();
      this.events.push("-");
      this.clock.advance(roundMs);
    }
  }

  /** What has happened since the last time, but for rounds at either end. */
  take(): string {
    const text = this.events.splice(0).join(" ");
    return text.replace(/^[- ]+|[- ]+$/g, "");
  }
}

describe("turns of handshakes", () => {
  test("handshakes take turns round robin over the sources, many in a round where they are short", async () => {
    const scene = new Scene();
    const slots = ["a1", "a2", "b1"].map((name) => [name, scene.enter(name, name[0])] as const);
    await scene.rounds(2);
    expect(scene.take()).toBe("a1 begins b1 begins a2 begins");
    for (const turnMs of [BURST_MS / 8, BURST_MS / 8, BURST_MS]) {
      scene.busy();
      for (const [name, slot] of slots) {
        slot.takeTurn(() => {
          scene.events.push(`turn of ${name}`);
          scene.clock.advance(turnMs);
        });
      }
      await scene.rounds(5);
    }
    expect(scene.take().replaceAll(/( -)+/g, " -")).toBe(
      [
        "turn of a1 - turn of b1 turn of a2", // it was not known yet how short they are
        "turn of a1 turn of b1 turn of a2",
        "turn of a1 - turn of b1 - turn of a2",
      ].join(" - "),
    );
  });

  test("while other work takes time it gets as much as the last turn took before the next one", async () => {
    const scene = new Scene();
    const slots = ["a", "b"].map((name) => [name, scene.enter(name)] as const);
    await scene.rounds(2);
    scene.take();
    for (const [name, slot] of slots) {
      slot.takeTurn(() => {
        scene.events.push(`turn of ${name}`);
        scene.clock.advance(4);
      });
    }
    await scene.rounds(8, 1);
    expect(scene.take()).toBe("turn of a - - - - turn of b");
  });

  test("while there is no other work a turn follows a turn, however long they take", async () => {
    const scene = new Scene();
    const slots = ["a", "b"].map((name) => [name, scene.enter(name)] as const);
    await scene.rounds(2);
    scene.take();
    for (const [name, slot] of slots) {
      slot.takeTurn(() => {
        scene.events.push(`turn of ${name}`);
        scene.clock.advance(400);
      });
    }
    await scene.rounds(4);
    expect(scene.take()).toBe("turn of a - turn of b");
  });

  test("handshakes begin for a fraction of a millisecond in a round, and the others in the next", async () => {
    const scene = new Scene();
    for (const name of ["a", "b", "c"]) {
      const slot = scene.turns.slot(name, LIMITS);
      slot.enter({
        begin() {
          scene.events.push(`${name} begins`);
          scene.clock.advance(1);
        },
        refuse: () => undefined,
      });
    }
    await scene.rounds(5);
    expect(scene.take()).toBe("a begins - b begins - c begins");
  });

  test("a handshake that has left before its turn does nothing more", async () => {
    const scene = new Scene();
    const slot = scene.enter("a");
    await scene.rounds(2);
    scene.busy();
    slot.takeTurn(() => scene.events.push("turn of a"));
    slot.leave();
    await scene.rounds(3);
    expect(scene.take()).toBe("a begins");
  });

  test("a handshake that has left before it could begin never does", async () => {
    const scene = new Scene();
    scene.enter("a").leave();
    await scene.rounds(3);
    expect(scene.take()).toBe("");
  });

  test("beyond the limit of a source a handshake waits until one has left", async () => {
    const scene = new Scene();
    const first = scene.enter("a1", "a");
    scene.enter("a2", "a");
    scene.enter("a3", "a");
    await scene.rounds(3);
    expect(scene.take()).toBe("a1 begins a2 begins");
    first.leave();
    await scene.rounds(2);
    expect(scene.take()).toBe("a3 begins");
    expect(scene.clock.pendingTimers).toBe(0);
  });

  test("beyond the limit of a source one that was silent for too long is refused for one that waits", async () => {
    const scene = new Scene();
    for (const name of ["a1", "a2", "a3"]) scene.enter(name, "a");
    await scene.rounds(2);
    scene.take();
    scene.clock.advance(PATIENCE_MS - 1);
    await scene.rounds(2);
    expect(scene.take()).toBe("");
    scene.clock.advance(1);
    await scene.rounds(2);
    expect(scene.take()).toBe("a1 is refused a3 begins");
  });
});

describe("handshakes that come one by one", () => {
  test("handshakes that come one by one are worked on at once, when all else has had its time", async () => {
    const scene = new Scene();
    await scene.rounds(2);
    scene.take();
    scene.clock.advance(1);
    const slot = scene.enter("a");
    expect(scene.take()).toBe("a begins");
    scene.clock.advance(1);
    slot.takeTurn(() => {
      scene.events.push("turn of a");
      scene.clock.advance(5);
    });
    expect(scene.take()).toBe("turn of a");
    await Promise.resolve();
    scene.clock.advance(5);
    slot.takeTurn(() => scene.events.push("second turn of a"));
    expect(scene.take()).toBe("");
    await scene.rounds(2);
    expect(scene.take()).toBe("second turn of a");
  });
});

describe("the report of refused handshakes", () => {
  const most = LIMITS.inAll * WAITING_PER_PLACE;

  test("a flood is reported when it begins, and then once in an interval with its numbers", () => {
    const scene = new Scene();
    for (let count = 0; count < most + 100; count += 1) scene.enter("flood");
    expect(scene.reports).toEqual([
      "too many handshakes at a time: refused 1 handshake, 1 of flood",
    ]);
    scene.enter("other");
    scene.clock.advance(REPORT_INTERVAL_MS);
    expect(scene.reports.slice(1)).toEqual([
      "too many handshakes at a time: refused 100 handshakes, 100 of flood",
    ]);
    scene.clock.advance(10 * REPORT_INTERVAL_MS);
    expect(scene.reports.length).toBe(2);
    expect(scene.clock.pendingTimers).toBe(0);
    scene.enter("flood");
    expect(scene.reports.length).toBe(3);
  });

  test("at the end the last refusals are reported, and no timer is left", () => {
    const scene = new Scene();
    for (let count = 0; count < most + 3; count += 1) scene.enter("flood");
    scene.turns.close();
    expect(scene.reports.at(-1)).toContain("refused 2 handshakes");
    expect(scene.clock.pendingTimers).toBe(0);
  });

  test("a flood from very many sources is counted, though they are not all told apart", () => {
    const scene = new Scene();
    for (let count = 0; count < most + 1000; count += 1) scene.enter(`s${count}`);
    scene.turns.close();
    expect(scene.reports.at(-1)).toContain("refused 999 handshakes, 1 of s");
  });
});
