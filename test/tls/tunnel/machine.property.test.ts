/** The life of a tunnel against a model that keeps the two directions apart, and what holds for each step. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { step } from "../../../src/tls/tunnel/machine.ts";
import type {
  ClosingSettings,
  Effect,
  Event,
  EventKind,
  OpenState,
  PeerEnd,
  State,
  Step,
} from "../../../src/tls/tunnel/machine.ts";

const BROKEN = { exitCode: 111, message: "unable to read from remote: broken" };
const EXPIRED = { exitCode: 98, message: "idle" };
const ABORTED = { exitCode: 98, message: undefined };
const WELL = { exitCode: 0, message: undefined };

const EVENTS: readonly Event[] = [
  { kind: "secured" },
  { kind: "attached" },
  { kind: "failed", detail: "bad record" },
  { kind: "expired", end: EXPIRED },
  { kind: "reset", end: BROKEN },
  { kind: "aborted", end: ABORTED },
  { kind: "peerEnded", how: "notified" },
  { kind: "peerEnded", how: "ended" },
  { kind: "peerEnded", how: "cut" },
  { kind: "allRead" },
  { kind: "delivered" },
  { kind: "programClosed" },
  { kind: "programStopped" },
  { kind: "unreachable", reset: undefined },
  { kind: "unreachable", reset: BROKEN },
  { kind: "answered" },
];
const OPEN_STATES: readonly OpenState[] = [
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
const FAILING = ["failed", "failedSent", "parting"] as const;
const STATES: readonly State[] = [
  ...OPEN_STATES,
  ...FAILING.map((name) => ({ name, end: BROKEN })),
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
  return kind === "expired" || kind === "aborted";
}

/** The state of the world after the effects so far. */
interface World {
  told: "nothing" | "secured" | "failed";
  toProgram: "open" | "ending" | "closed";
  fromProgram: "open" | "ending" | "closed";
  toPeer: "open" | "shut" | "notified";
  fromPeer: "read" | "paused" | "dropped" | "limited";
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
    case "endOutput":
      world.fromProgram = "ending";
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
    case "limit":
      world.fromPeer = "limited";
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
  /** The end that will come because the peer's side has failed. */
  #failure: World["end"];
  #isDelivered = false;
  #isUnwanted = false;
  #isSent = false;

  constructor(closing: ClosingSettings) {
    this.#settings = closing;
  }

  happen(occurrence: Event): void {
    const { world } = this;
    const { kind } = occurrence;
    if (world.end !== undefined) return;
    if (kind === "aborted") this.#finish(occurrence.end);
    else if (world.told !== "secured") this.#shakeHands(occurrence);
    else if (world.fromPeer === "dropped") {
      if (["failed", "expired", "reset", "allRead", "delivered", "answered"].includes(kind)) {
        this.#finish(WELL);
      }
    } else if (world.fromPeer === "limited") {
      if (["failed", "expired", "reset", "programClosed", "unreachable"].includes(kind)) {
        this.#finish(this.#failure ?? WELL);
      }
    } else this.#relay(occurrence);
  }

  #shakeHands(occurrence: Event): void {
    if (occurrence.kind === "secured") this.world.told = "secured";
    else if (occurrence.kind === "unreachable") this.#isSent = true;
    else if (occurrence.kind === "allRead")
      this.#finish(tlsEnd("during", "the peer closed the connection"));
    else if (occurrence.kind === "failed") this.#finish(tlsEnd("during", occurrence.detail));
    else if (occurrence.kind === "expired" || occurrence.kind === "reset") {
      this.#finish(occurrence.end);
    }
  }

  #relay(occurrence: Event): void {
    const { world } = this;
    switch (occurrence.kind) {
      case "failed":
        this.#failTls(occurrence.detail);
        break;
      case "expired":
        this.#finish(occurrence.end);
        break;
      case "reset":
        this.#reset(occurrence.end);
        break;
      case "attached":
        if (this.#isSent && !this.#isDelivered) world.fromProgram = "closed";
        break;
      case "peerEnded":
        if (this.#isDelivered || this.#failure !== undefined) break;
        this.#peer ??= occurrence.how;
        if (this.#isUnwanted) this.#deliver();
        break;
      case "allRead":
        if (this.#hasPeerEnded && !this.#isDelivered && !this.#isUnwanted) {
          world.toProgram = "ending";
        }
        break;
      case "delivered":
        if (this.#hasPeerEnded && !this.#isDelivered && !this.#isUnwanted) this.#deliver();
        break;
      case "programStopped":
        if (this.#isDelivered || this.#isUnwanted) break;
        if (this.#hasPeerEnded) this.#deliver();
        else {
          this.#isUnwanted = true;
          if (!this.#isSent) world.fromPeer = "paused";
        }
        break;
      case "programClosed":
        this.#closeTowardPeer();
        break;
      case "unreachable":
        if (this.#isUnwanted && occurrence.reset !== undefined) this.#finish(occurrence.reset);
        else this.#lose();
        break;
      case "secured":
      case "answered":
      case "aborted":
        break;
    }
    if (world.end !== undefined || !this.#isSent || world.fromPeer === "limited") return;
    if (this.#isDelivered) this.#finish(WELL);
    else if (this.#isUnwanted) world.fromPeer = "dropped";
  }

  get #hasPeerEnded(): boolean {
    return this.#peer !== undefined || this.#failure !== undefined;
  }

  /** The peer cannot be reached. */
  #lose(): void {
    if (!this.#isSent && !this.#isDelivered) this.world.fromProgram = "closed";
    this.#isSent = true;
  }

  #failTls(detail: string): void {
    if (this.#failure !== undefined) return;
    const end = tlsEnd("after", detail);
    if (this.#isUnwanted) this.#part(end);
    else if (this.#peer !== undefined) this.#lose();
    else {
      this.#failure = end;
      if (!this.#isSent) this.world.fromProgram = "ending";
    }
  }

  #reset(end: NonNullable<World["end"]>): void {
    if (this.#hasPeerEnded) return;
    if (this.#isUnwanted) {
      this.#finish(end);
      return;
    }
    this.#failure = end;
    this.#lose();
  }

  #closeTowardPeer(): void {
    if (this.#isSent) return;
    this.#isSent = true;
    const { sendsCloseNotify } = this.#settings;
    const isNotified = sendsCloseNotify && this.#failure === undefined;
    this.world.toPeer = isNotified ? "notified" : "shut";
    if (!isNotified || this.#peer === "cut") return;
    this.world.toProgram = "closed";
    this.#isUnwanted = true;
    this.#isDelivered = false;
  }

  /** The program has got everything. */
  #deliver(): void {
    if (this.#failure !== undefined) this.#part(this.#failure);
    else if (this.#peer === "cut") {
      this.#part(tlsEnd("after", "the connection was cut inside a record"));
    } else if (this.#peer === "ended" && this.#settings.enforcesCloseNotify) {
      this.#part({ exitCode: 98, message: "remote closed connection without a close_notify" });
    } else if (this.#peer === "notified" && this.#settings.closesBothWays) {
      Object.assign(this.world, { fromProgram: "closed", toPeer: "notified", fromPeer: "dropped" });
      this.#isUnwanted = true;
    } else {
      this.#isDelivered = true;
      this.#isUnwanted = false;
    }
  }

  /** End so, as soon as what the program has written is on its way. */
  #part(end: NonNullable<World["end"]>): void {
    if (this.#isSent) {
      this.#finish(end);
      return;
    }
    this.#failure = end;
    this.world.fromProgram = "ending";
    this.world.fromPeer = "limited";
  }

  #finish(end: NonNullable<World["end"]>): void {
    if (this.world.told === "nothing") this.world.told = "failed";
    this.world.end = end;
  }
}

function tlsEnd(when: "during" | "after", detail: string): NonNullable<World["end"]> {
  const message = `the TLS engine closed the connection ${when} the handshake: ${detail}`;
  return { exitCode: 98, message };
}

function nameOf(state: State): string {
  return typeof state === "string" ? state : state.name;
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
    const reached = new Map<string, State>([["handshake", "handshake"]]);
    for (const state of reached.values()) {
      for (const next of EVENTS) {
        for (const closing of SETTINGS) {
          const { state: after } = step(state, next, closing);
          if (!reached.has(nameOf(after))) reached.set(nameOf(after), after);
        }
      }
    }
    expect([...reached.keys()].toSorted()).toEqual(STATES.map(nameOf).toSorted());
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

  test("the time limit of the last states is set on entry, and ends them", () => {
    for (const { from, state, effects } of cells) {
      const entered = nameOf(from) === nameOf(state) ? undefined : nameOf(state);
      expect(isDoing(effects, "linger")).toBe(entered === "lingering");
      expect(isDoing(effects, "limit")).toBe(entered === "parting");
    }
    const expired: Event = { kind: "expired", end: EXPIRED };
    for (const closing of SETTINGS) {
      expect(step("lingering", expired, closing).effects).toEqual([{ do: "finish", end: WELL }]);
      const parting: State = { name: "parting", end: BROKEN };
      expect(step(parting, expired, closing).effects).toEqual([{ do: "finish", end: BROKEN }]);
    }
  });

  test("nothing that the peer or the network does takes from the program what was received before", () => {
    const undelivered = new Set(
      ["open", "notified", "ended", "cut", "failed"].flatMap((name) => [name, `${name}Sent`]),
    );
    const theirs = EVENTS.filter(({ kind }) =>
      ["failed", "peerEnded", "reset", "allRead", "unreachable"].includes(kind),
    );
    for (const from of STATES.filter((state) => undelivered.has(nameOf(state)))) {
      for (const next of theirs) {
        for (const closing of SETTINGS) {
          const { state, effects } = step(from, next, closing);
          expect(undelivered).toContain(nameOf(state));
          expect(isDoing(effects, "closeInput") || isDoing(effects, "finish")).toBe(false);
        }
      }
    }
  });

  test("after a failure of the peer a tunnel ends with it, unless a time limit or its owner ends it", () => {
    for (const name of FAILING) {
      const ends = EVENTS.filter(({ kind }) => !isFatal(kind)).flatMap((next) =>
        SETTINGS.flatMap((closing) => step({ name, end: BROKEN }, next, closing).effects),
      );
      for (const effect of ends) if (effect.do === "finish") expect(effect.end).toEqual(BROKEN);
    }
  });

  test("the outcome of the handshake is reported once, before anything else of its step", () => {
    for (const { from, state, effects } of cells) {
      const wasHandshake = nameOf(from).startsWith("handshake");
      const told = effects.filter((effect) => effect.do.startsWith("tell"));
      expect(told.length).toBe(wasHandshake && !nameOf(state).startsWith("handshake") ? 1 : 0);
      expect(effects.slice(0, told.length)).toEqual(told);
    }
  });
});
