/**
 * Has handshakes take turns with each other and with everything else that the event loop does: performs
 * what `handshake-queue.ts` decides.
 *
 * Handshakes have some time in which they are worked on as soon as they are ready. All work takes from it, and
 * all time that goes to something else adds to it. When it is used up, they wait for the next round of the
 * event loop, which serves all connections that are ready; and for the ones after that, until everything else
 * has had as much time as they had. A round in which hardly anything else was to be done gives them the whole
 * time again. A turn is one piece of work of OpenSSL, which can take more than the time that is left.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { HandshakeQueue } from "./handshake-queue.ts";
import type { Place } from "./handshake-queue.ts";
import type { HandshakeLimits } from "../options/declarations.ts";
import { RefusalTally } from "./refusal-tally.ts";

/** A round of the event loop that takes no longer had hardly anything to do beside handshakes. */
const QUIET_ROUND_MS = 0.1;

/**
 * The most time that handshakes have at once: others wait for so long and for one turn. Each round of the event
 * loop costs something, so that one turn in a round made the short handshakes of sessions dearer by a tenth.
 */
export const BURST_MS = 1;

/** In one piece handshakes begin for so long, each in some tens of microseconds. */
const BEGINNING_MS = 0.25;

/** For microtasks: queueMicrotask makes an object with hooks for each. */
const DONE = Promise.resolve();

/** Refusals are reported when the first one happens, and then at most once in this time. */
export const REPORT_INTERVAL_MS = 10_000;

/** A handshake, to its place in the queue. */
export interface QueuedHandshake {
  /** There is a place for it: wait for its peer. */
  begin(): void;
  /** It cannot have one, or not any more, and is to be ended. */
  refuse(): void;
}

/** The place of one handshake. */
export interface HandshakeSlot {
  /** Wait for a place. Either method may be called before this returns. */
  enter(handshake: QueuedHandshake): void;
  /** The peer has sent something: do `work` when it is its turn, unless it leaves before. */
  takeTurn(work: () => void): void;
  /** The handshake is done or has failed. May be called more than once. */
  leave(): void;
}

export interface HandshakeTurnsOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "setTimer">;
  /** Handshakes were refused: how many, and whose, for the log. */
  report?(text: string): void;
}

/** The slot of a handshake that has the event loop to itself. */
export const FREE_SLOT: HandshakeSlot = {
  enter: (handshake) => handshake.begin(),
  takeTurn: (work) => work(),
  leave: () => undefined,
};

/** Work of which a part may still be done in the next ticks. */
interface UncountedWork {
  /** The time that it is expected to take in all; it was taken from what is left. */
  expectedMs: number;
  turns: number;
}

/** The part of a round of the event loop that has gone by when handshakes are worked on next. */
type Round = "part" | "whole";

export class HandshakeTurns {
  readonly #options: HandshakeTurnsOptions;
  readonly #queue = new HandshakeQueue<Slot>();
  readonly #tally = new RefusalTally();
  readonly #owner: SlotOwner = {
    enter: (slot) => this.#enter(slot),
    ready: (slot) => this.#ready(slot),
    leave: (slot) => this.#leave(slot),
  };
  #isScheduled = false;
  #isWorking = false;
  /** Some wait for a place, and there may be one. */
  #mayBegin = false;
  /** The time that handshakes have; below 0 when they have had more. It was counted until `#countedMs`. */
  #leftMs = BURST_MS;
  #countedMs = -Infinity;
  /** The last round of the event loop, or the end of work since then. */
  #roundMs = -Infinity;
  #uncounted: UncountedWork | undefined;
  /** The time that a turn takes, as those did that were counted last. */
  #turnMs = BURST_MS;
  #patience: Timer | undefined;
  #reporting: Timer | undefined;

  constructor(options: HandshakeTurnsOptions) {
    this.#options = options;
  }

  /** A slot for a handshake with a peer of this source. */
  slot(source: string, limits: HandshakeLimits): HandshakeSlot {
    return new Slot(source, limits, this.#owner);
  }

  /** Report what has not been reported, and let no timer run on. */
  close(): void {
    this.#patience?.cancel();
    this.#reporting?.cancel();
    this.#tell();
  }

  #enter(slot: Slot): void {
    const refused = this.#queue.enter(slot);
    if (refused !== undefined) this.#refuse(refused);
    this.#lookForPlaces();
  }

  #ready(slot: Slot): void {
    this.#queue.ready(slot);
    this.#workSoon();
  }

  #leave(slot: Slot): void {
    this.#queue.leave(slot);
    if (this.#queue.waiting > 0) this.#lookForPlaces();
  }

  #lookForPlaces(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
    this.#mayBegin = true;
    this.#workSoon();
  }

  /** Now, if there is time left; mostly there is. */
  #workSoon(): void {
    if (this.#isScheduled || this.#isWorking) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#uncounted === undefined) this.#addTime(nowMs);
    if (this.#leftMs > 0) this.#work(nowMs, "part");
    else this.#schedule("part");
  }

  /** Work when the event loop has served all that is ready: since now, or only what is left of this round. */
  #schedule(round: Round): void {
    if (this.#isScheduled || !(this.#mayBegin || this.#queue.isTurnWanted)) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#round(round);
    });
  }

  #round(round: Round): void {
    const startMs = this.#options.clock.monotonicMs();
    const isQuiet = round === "whole" && startMs - this.#roundMs < QUIET_ROUND_MS;
    if (isQuiet) this.#leftMs = BURST_MS;
    this.#roundMs = startMs;
    this.#addTime(startMs);
    if (this.#leftMs > 0) this.#work(startMs, "whole");
    else this.#schedule("whole");
  }

  /** Everything else has had the time until now. */
  #addTime(nowMs: number): void {
    this.#leftMs = Math.min(BURST_MS, this.#leftMs + nowMs - this.#countedMs);
    this.#countedMs = nowMs;
  }

  #work(startMs: number, round: Round): void {
    const work = (this.#uncounted ??= this.#countLater(startMs));
    this.#isWorking = true;
    try {
      if (this.#mayBegin) this.#expect(work, this.#beginUntil(startMs + BEGINNING_MS) - startMs);
      for (let tookMs = this.#takeTurn(); tookMs !== undefined; tookMs = this.#takeTurn()) {
        work.turns += 1;
        this.#expect(work, Math.max(tookMs, this.#turnMs));
      }
    } finally {
      this.#isWorking = false;
      this.#schedule(round);
    }
  }

  /** The time that it has taken so far; undefined when there is none to be taken, or no time for it. */
  #takeTurn(): number | undefined {
    if (this.#leftMs <= 0 || !this.#queue.isTurnWanted) return undefined;
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    this.#queue.turn(startMs)?.work();
    return clock.monotonicMs() - startMs;
  }

  #expect(work: UncountedWork, tookMs: number): void {
    work.expectedMs += tookMs;
    this.#leftMs -= tookMs;
  }

  /** node:tls does a part of a turn in the next ticks, which come before the next microtask. */
  #countLater(startMs: number): UncountedWork {
    const work = { expectedMs: 0, turns: 0 };
    void DONE.then(() => {
      this.#roundMs = this.#countedMs = this.#options.clock.monotonicMs();
      const tookMs = this.#countedMs - startMs;
      this.#leftMs += work.expectedMs - tookMs;
      if (work.turns > 0) this.#turnMs = tookMs / work.turns;
      this.#uncounted = undefined;
    });
    return work;
  }

  /** The time at which it was done. */
  #beginUntil(endMs: number): number {
    const { clock } = this.#options;
    let nowMs = clock.monotonicMs();
    for (; nowMs < endMs; nowMs = clock.monotonicMs()) {
      const next = this.#queue.begin(nowMs);
      if (next.kind !== "begin") {
        this.#mayBegin = false;
        if (next.kind === "wait") {
          this.#patience = clock.setTimer(next.untilMs - nowMs, () => this.#lookForPlaces());
        }
        break;
      }
      if (next.givenUp !== undefined) this.#refuse(next.givenUp);
      next.place.begin();
    }
    return nowMs;
  }

  #refuse(slot: Slot): void {
    if (this.#options.report !== undefined) {
      this.#tally.add(slot.source);
      if (this.#reporting === undefined) this.#report();
    }
    slot.refuse();
  }

  /** Report, and go on doing so as long as there is something to be reported. */
  #report(): void {
    this.#reporting = this.#tell()
      ? this.#options.clock.setTimer(REPORT_INTERVAL_MS, () => this.#report())
      : undefined;
  }

  /** False when there is nothing to tell. */
  #tell(): boolean {
    const text = this.#tally.take();
    if (text !== undefined) this.#options.report?.(text);
    return text !== undefined;
  }
}

interface SlotOwner {
  enter(slot: Slot): void;
  ready(slot: Slot): void;
  leave(slot: Slot): void;
}

class Slot implements HandshakeSlot, Place {
  readonly source: string;
  readonly limits: HandshakeLimits;
  readonly #owner: SlotOwner;
  #handshake: QueuedHandshake | undefined;
  #work: (() => void) | undefined;

  constructor(source: string, limits: HandshakeLimits, owner: SlotOwner) {
    this.source = source;
    this.limits = limits;
    this.#owner = owner;
  }

  enter(handshake: QueuedHandshake): void {
    this.#handshake = handshake;
    this.#owner.enter(this);
  }

  takeTurn(work: () => void): void {
    this.#work = work;
    this.#owner.ready(this);
  }

  leave(): void {
    this.#handshake = undefined;
    this.#work = undefined;
    this.#owner.leave(this);
  }

  begin(): void {
    this.#handshake?.begin();
  }

  refuse(): void {
    this.#handshake?.refuse();
  }

  work(): void {
    const work = this.#work;
    this.#work = undefined;
    work?.();
  }
}
