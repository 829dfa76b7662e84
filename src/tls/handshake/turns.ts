/**
 * Has handshakes take turns with each other and with everything else that the event loop does: performs
 * what `handshake-queue.ts` decides.
 *
 * In one round of the event loop some handshakes begin, and one takes its turn, for OpenSSL does its work in
 * one piece; then all connections that are ready are served. Where those take much time, handshakes wait until
 * they have had as much as the handshakes before. One that comes when they have had it is worked on at once,
 * for another round of the event loop costs something too.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { HandshakeQueue } from "./handshake-queue.ts";
import type { Place } from "./handshake-queue.ts";
import type { HandshakeLimits } from "../options/declarations.ts";
import { RefusalTally } from "./refusal-tally.ts";

/** A round of the event loop that takes no longer had hardly anything to do beside handshakes. */
const QUIET_ROUND_MS = 0.1;

/** In one round handshakes begin for so long, each in some tens of microseconds, and then leave time for as long. */
const BEGINNING_MS = 0.25;

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

export class HandshakeTurns {
  readonly #options: HandshakeTurnsOptions;
  readonly #queue = new HandshakeQueue<Slot>();
  readonly #tally = new RefusalTally();
  #isScheduled = false;
  #isWorking = false;
  /** Some wait for a place, and there may be one. */
  #mayBegin = false;
  #workEndedMs = -Infinity;
  /** The time that is left to everything else before handshakes are worked on again. */
  #owedMs = 0;
  #patience: Timer | undefined;
  #reporting: Timer | undefined;

  constructor(options: HandshakeTurnsOptions) {
    this.#options = options;
  }

  /** A slot for a handshake with a peer of this source. */
  slot(source: string, limits: HandshakeLimits): HandshakeSlot {
    return new Slot(source, limits, {
      enter: (slot) => this.#enter(slot),
      ready: (slot) => this.#ready(slot),
      leave: (slot) => this.#leave(slot),
    });
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

  /** Now, if everything else has had its time since handshakes were worked on; mostly it has. */
  #workSoon(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const hasHadTime = nowMs - this.#workEndedMs > Math.max(this.#owedMs, BEGINNING_MS);
    if (this.#isScheduled || this.#isWorking || !hasHadTime) this.#schedule();
    else this.#work(nowMs);
  }

  #schedule(): void {
    if (this.#isScheduled || !(this.#mayBegin || this.#queue.isTurnWanted)) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#round();
    });
  }

  #round(): void {
    const startMs = this.#options.clock.monotonicMs();
    const roundMs = startMs - this.#workEndedMs;
    this.#owedMs = roundMs < QUIET_ROUND_MS ? 0 : this.#owedMs - roundMs;
    this.#workEndedMs = startMs;
    if (this.#owedMs <= 0) this.#work(startMs);
    else this.#schedule();
  }

  #work(startMs: number): void {
    // node:tls does a part of it in the next ticks, which come before the next microtask.
    queueMicrotask(() => {
      this.#workEndedMs = this.#options.clock.monotonicMs();
      this.#owedMs = this.#workEndedMs - startMs;
    });
    this.#isWorking = true;
    try {
      if (this.#mayBegin) this.#beginUntil(startMs + BEGINNING_MS);
      this.#queue.turn(startMs)?.work();
    } finally {
      this.#isWorking = false;
      this.#workEndedMs = this.#options.clock.monotonicMs();
      this.#schedule();
    }
  }

  #beginUntil(endMs: number): void {
    const { clock } = this.#options;
    for (let nowMs = clock.monotonicMs(); nowMs < endMs; nowMs = clock.monotonicMs()) {
      const next = this.#queue.begin(nowMs);
      if (next.kind !== "begin") {
        this.#mayBegin = false;
        if (next.kind === "none") return;
        this.#patience = clock.setTimer(next.untilMs - nowMs, () => this.#lookForPlaces());
        return;
      }
      if (next.givenUp !== undefined) this.#refuse(next.givenUp);
      next.place.begin();
    }
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
