/** The life of a tunnel against a model that keeps the two directions apart, and what holds for each step. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { step } from "../../../src/tls/tunnel/machine.ts";
import type {
  ClosingSettings,
  Effect,
  Event,
  EventKind,
  PeerEnd,
  State,
  Step,
} from "../../../src/tls/tunnel/machine.ts";

const BROKEN = { exitCode: 111, message: "unable to read from remote: broken" };
const ABORTED = { exitCode: 98, message: undefined };
const WELL = { exitCode: 0, message: undefined };

const EVENTS: readonly Event[] = [
  { kind: "secured" },
  { kind: "attached" },
  { kind: "failed", failure: { detail: "bad record" } },
  { kind: "failed", failure: BROKEN },
  { kind: "aborted", end: ABORTED },
  { kind: "peerEnded", how: "notified" },
  { kind: "peerEnded", how: "ended" },
  { kind: "peerEnded", how: "cut" },
  { kind: "allRead" },
  { kind: "delivered" },
  { kind: "programClosed" },
  { kind: "programStopped" },
  { kind: "unreachable" },
  { kind: "answered" },
];
const STATES: readonly State[] = [
  "handshake",
  "handshakeSent",
  "open",
  "notified",
  "ended",
  "cut",
  "delivered",
  "unwanted",
  "openSent",
  "notifiedSent",
  "endedSent",
  "cutSent",
  "lingering",
  "over",
];
const BOOLEANS = [false, true];
const SETTINGS: readonly ClosingSettings[] = BOOLEANS.flatMap((sendsCloseNotify) =>
  BOOLEANS.flatMap((enforcesCloseNotify) =>
    BOOLEANS.map((closesBothWays) => ({ sendsCloseNotify, enforcesCloseNotify, closesBothWays })),
  ),
);

const settings = fc.constantFrom(...SETTINGS);
/** The events that end everything are rare, so that others get their turn. */
const event = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...EVENTS) },
  { weight: 9, arbitrary: fc.constantFrom(...EVENTS.filter(({ kind }) => !isFatal(kind))) },
);
const history = fc.array(event, { maxLength: 12 }).map((rest) => [EVENTS[0], ...rest] as Event[]);
const anyHistory = fc.oneof(history, fc.array(event, { maxLength: 12 }));

function isFatal(kind: EventKind): boolean {
  return kind === "failed" || kind === "aborted";
}

/** The state of the world after the effects so far. */
interface World {
  told: "nothing" | "secured" | "failed";
  toProgram: "open" | "ending" | "closed";
  fromProgram: "open" | "closed";
  toPeer: "open" | "shut" | "notified";
  fromPeer: "read" | "paused" | "dropped";
  end: { readonly exitCode: number; readonly message: string | undefined } | undefined;
}

function newWorld(): World {
  return {
    told: "nothing",
    toProgram: "open",
    fromProgram: "open",
    toPeer: "open",
    fromPeer: "read",
    end: undefined,
  };
}

function perform(world: World, effect: Effect): void {
  switch (effect.do) {
    case "tellSecured":
      world.told = "secured";
      break;
    case "tellFailed":
      world.told = "failed";
      break;
    case "endDelivery":
      world.toProgram = "ending";
      break;
    case "closeInput":
      world.toProgram = "closed";
      break;
    case "closeOutput":
      world.fromProgram = "closed";
      break;
    case "pause":
      world.fromPeer = "paused";
      break;
    case "linger":
      world.fromPeer = "dropped";
      break;
    case "shutdownWrite":
      world.toPeer = "shut";
      break;
    case "sendCloseNotify":
    case "answerCloseNotify":
      world.toPeer = "notified";
      break;
    case "finish":
      world.end = effect.end;
      break;
    case "startProgram":
    case "rejectProgram":
      break;
  }
}

/**
 * The model: the two directions are told apart, and the tunnel is over when both are done. It knows of
 * no states, only of what has happened.
 */
class Model {
  readonly world = newWorld();
  readonly #settings: ClosingSettings;
  #peer: PeerEnd | undefined;
  #isDelivered = false;
  #isUnwanted = false;
  #isSent = false;

  constructor(closing: ClosingSettings) {
    this.#settings = closing;
  }

  happen(occurrence: Event): void {
    const { world } = this;
    if (world.end !== undefined) return;
    if (occurrence.kind === "aborted") this.#finish(occurrence.end);
    else if (world.told !== "secured") this.#shakeHands(occurrence);
    else if (world.fromPeer === "dropped") {
      if (["failed", "allRead", "delivered", "answered"].includes(occurrence.kind)) {
        this.#finish(WELL);
      }
    } else this.#relay(occurrence);
  }

  #shakeHands(occurrence: Event): void {
    if (occurrence.kind === "secured") this.world.told = "secured";
    else if (occurrence.kind === "unreachable") this.#isSent = true;
    else if (occurrence.kind === "allRead") this.#failTls("the peer closed the connection");
    else if (occurrence.kind === "failed") this.#fail(occurrence);
  }

  #relay(occurrence: Event): void {
    const { world } = this;
    switch (occurrence.kind) {
      case "failed":
        this.#fail(occurrence);
        break;
      case "attached":
        if (this.#isSent && !this.#isDelivered) world.fromProgram = "closed";
        break;
      case "peerEnded":
        if (this.#isDelivered) break;
        this.#peer ??= occurrence.how;
        if (this.#isUnwanted) this.#deliver();
        break;
      case "allRead":
        if (this.#peer !== undefined && !this.#isDelivered && !this.#isUnwanted) {
          world.toProgram = "ending";
        }
        break;
      case "delivered":
        if (this.#peer !== undefined && !this.#isDelivered && !this.#isUnwanted) this.#deliver();
        break;
      case "programStopped":
        if (this.#isDelivered || this.#isUnwanted) break;
        if (this.#peer !== undefined) this.#deliver();
        else {
          this.#isUnwanted = true;
          if (!this.#isSent) world.fromPeer = "paused";
        }
        break;
      case "programClosed":
        this.#closeTowardPeer();
        break;
      case "unreachable":
        if (!this.#isSent && !this.#isDelivered) world.fromProgram = "closed";
        this.#isSent = true;
        break;
      case "secured":
      case "answered":
      case "aborted":
        break;
    }
    if (world.end !== undefined || !this.#isSent) return;
    if (this.#isDelivered) this.#finish(WELL);
    else if (this.#isUnwanted) world.fromPeer = "dropped";
  }

  #closeTowardPeer(): void {
    if (this.#isSent) return;
    this.#isSent = true;
    if (this.#settings.sendsCloseNotify) {
      this.world.toPeer = "notified";
      this.world.toProgram = "closed";
      this.#isUnwanted = true;
      this.#isDelivered = false;
    } else this.world.toPeer = "shut";
  }

  #deliver(): void {
    this.#isDelivered = true;
    this.#isUnwanted = false;
    if (this.#peer === "cut") this.#failTls("the connection was cut inside a record");
    else if (this.#peer === "notified" && this.#settings.closesBothWays) {
      Object.assign(this.world, { fromProgram: "closed", toPeer: "notified", fromPeer: "dropped" });
      this.#isDelivered = false;
      this.#isUnwanted = true;
    } else if (this.#peer === "ended" && this.#settings.enforcesCloseNotify) {
      this.#finish({ exitCode: 98, message: "remote closed connection without a close_notify" });
    }
  }

  #fail({ failure }: Event & { readonly kind: "failed" }): void {
    if ("exitCode" in failure) this.#finish(failure);
    else this.#failTls(failure.detail);
  }

  #failTls(detail: string): void {
    const when = this.world.told === "secured" ? "after" : "during";
    const message = `the TLS engine closed the connection ${when} the handshake: ${detail}`;
    this.#finish({ exitCode: 98, message });
  }

  #finish(end: NonNullable<World["end"]>): void {
    if (this.world.told === "nothing") this.world.told = "failed";
    this.world.end = end;
  }
}

test("a tunnel acts as a model of its two directions, whatever happens", () => {
  fc.assert(
    fc.property(settings, anyHistory, (closing, events) => {
      const model = new Model(closing);
      const world = newWorld();
      let state: State = "handshake";
      for (const next of events) {
        model.happen(next);
        const { state: after, effects }: Step = step(state, next, closing);
        state = after;
        for (const effect of effects) perform(world, effect);
        expect({ state, world }).toEqual({ state, world: model.world });
      }
    }),
    { numRuns: 10_000 },
  );
});

describe("every step of every state", () => {
  const cells = STATES.flatMap((state) =>
    EVENTS.flatMap((next) =>
      SETTINGS.map((closing) => ({ from: state, ...step(state, next, closing) })),
    ),
  );
  const isDoing = (effects: readonly Effect[], what: Effect["do"]): boolean =>
    effects.some((effect) => effect.do === what);

  test("all states of a tunnel are reached from the first", () => {
    const reached = new Set<State>(["handshake"]);
    for (const state of reached) {
      for (const next of EVENTS) {
        for (const closing of SETTINGS) reached.add(step(state, next, closing).state);
      }
    }
    expect([...reached].toSorted()).toEqual([...STATES].toSorted());
  });

  test("a tunnel that is over has no effects, but to close a program that arrives late", () => {
    const late = step("over", { kind: "attached" }, SETTINGS[0] as ClosingSettings);
    expect(late.effects).toEqual([{ do: "rejectProgram" }]);
    const others = EVENTS.filter(({ kind }) => kind !== "attached");
    for (const next of others) {
      for (const closing of SETTINGS) {
        expect(step("over", next, closing)).toEqual({ state: "over", effects: [] });
      }
    }
  });

  test("the last effect of a tunnel, and no other, finishes it", () => {
    for (const { from, state, effects } of cells) {
      expect(isDoing(effects, "finish")).toBe(state === "over" && from !== "over");
      expect(effects.findIndex((effect) => effect.do === "finish")).toBeOneOf([
        -1,
        effects.length - 1,
      ]);
    }
  });

  test("the time limit of lingering is set on entry, and ends it", () => {
    for (const { from, state, effects } of cells) {
      expect(isDoing(effects, "linger")).toBe(state === "lingering" && from !== "lingering");
    }
    for (const closing of SETTINGS) {
      const expired: Event = { kind: "failed", failure: { detail: "too long" } };
      expect(step("lingering", expired, closing).effects).toEqual([{ do: "finish", end: WELL }]);
    }
  });

  test("the outcome of the handshake is reported once, before anything else of its step", () => {
    for (const { from, state, effects } of cells) {
      const wasHandshake = from.startsWith("handshake");
      const told = effects.filter((effect) => effect.do.startsWith("tell"));
      expect(told.length).toBe(wasHandshake && !state.startsWith("handshake") ? 1 : 0);
      expect(effects.slice(0, told.length)).toEqual(told);
    }
  });
});
