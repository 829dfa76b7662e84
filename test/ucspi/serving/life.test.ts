/** The machine of a connection's life, against a model of what a connection holds. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actionFor, LIFE } from "../../../src/ucspi/serving/life.ts";
import type { Effect, Event, State } from "../../../src/ucspi/serving/life.ts";

const STATES = Object.keys(LIFE) as State[];
const EVENTS = Object.keys(LIFE.accepted) as Event[];

/** The resources of a connection and the events it was given: each is acquired once and released once. */
class Model {
  state: State = "accepted";
  isSocketOpen = true;
  /** A function's stream closes the socket itself. */
  isSocketHandedOn = false;
  hasSlot = true;
  /** Links have run, and no process has connect of it yet. */
  hasLaunch = false;
  hasProcess = false;
  hasRetry = false;
  isAwaitingTunnels = false;
  /** Links are running, or the system is being asked for a process: an answer will come. */
  awaits: "links" | "process" | undefined;
  readonly told: string[] = [];

  /** Whatever can happen to a connection in this state of the world, and what would be a fault. */
  take(event: Event): void {
    this.#arrive(event);
    const action = actionFor(this.state, event);
    if (action === undefined) return;
    expect(this.state).not.toBe("over");
    this.state = action.next;
    for (const effect of action.effects) this.#perform(effect);
    this.check();
  }

  /** Is this event one that the world may bring about now? */
  isTimely(event: Event): boolean {
    switch (event) {
      case "start":
        return this.state === "accepted";
      case "refused":
        return this.state === "accepted" || this.awaits === "links";
      case "prepared":
        return this.awaits === "links";
      case "shortage":
      case "created":
        return this.awaits === "process";
      case "begun":
        return this.state === "spawning" || this.state === "preparing";
      case "failed":
        return this.state === "accepted" || this.awaits !== undefined || this.isServed;
      case "ended":
        return this.awaits === "links" || this.isServed;
      case "tunnelsEnded":
        return this.isAwaitingTunnels;
      case "retryDue":
        return this.hasRetry;
      case "terminate":
      case "signal":
        return true;
    }
  }

  /** By a process or a function. */
  get isServed(): boolean {
    return this.hasProcess || this.state === "running";
  }

  clone(): Model {
    return Object.assign(new Model(), this, { told: [...this.told] });
  }

  check(): void {
    const count = (what: string): number => this.told.filter((text) => text === what).length;
    const ends = count("ended") + count("dropped");
    expect(count("accepted")).toBeLessThanOrEqual(1);
    expect(ends).toBeLessThanOrEqual(1);
    if (count("ended") > 0) expect(this.told.indexOf("accepted")).toBe(0);
    if (ends > 0) expect(this.hasSlot).toBe(false);
    if (this.state === "over") {
      expect(this.isSocketOpen && !this.isSocketHandedOn).toBe(false);
      expect(this.hasSlot).toBe(false);
      expect(this.hasLaunch).toBe(false);
      expect(this.hasRetry).toBe(false);
    }
  }

  /** The changes before the machine gets the event. */
  #arrive(event: Event): void {
    if (!this.isTimely(event)) return;
    if (event === "prepared") this.hasLaunch = true;
    if (event === "retryDue") this.hasRetry = false;
    if (event === "created") {
      this.hasLaunch = false;
      this.hasProcess = true;
    }
    if (event === "begun" && this.state === "preparing") this.isSocketHandedOn = true;
    if (event === "tunnelsEnded") this.isAwaitingTunnels = false;
    const isAnswer = !["start", "retryDue", "terminate", "signal"].includes(event);
    if (isAnswer) this.awaits = undefined;
  }

  #perform(effect: Effect): void {
    switch (effect) {
      case "prepare":
        this.awaits = "links";
        return;
      case "create":
        expect(this.hasLaunch).toBe(true);
        this.awaits = "process";
        return;
      case "closeSocket":
        expect(this.isSocketOpen).toBe(true);
        expect(this.isSocketHandedOn).toBe(false);
        this.isSocketOpen = false;
        return;
      case "shutSocket":
        expect(this.isSocketOpen).toBe(true);
        return;
      case "abandon":
        this.hasLaunch = false;
        return;
      case "setRetry":
        expect(this.hasRetry).toBe(false);
        this.hasRetry = true;
        return;
      case "cancelRetry":
        expect(this.hasRetry).toBe(true);
        this.hasRetry = false;
        return;
      case "free":
        expect(this.hasSlot).toBe(true);
        this.hasSlot = false;
        return;
      case "tellAccepted":
        this.told.push("accepted");
        return;
      case "tellEnded":
        this.told.push("ended");
        return;
      case "tellDropped":
        this.told.push("dropped");
        return;
      case "forward":
      case "kill":
        expect(this.hasProcess || this.isSocketHandedOn).toBe(true);
        return;
      case "awaitTunnels":
        this.isAwaitingTunnels = true;
        return;
      case "abortTunnels":
        return;
    }
  }
}

/** Let all that is still to connect happen, after a signal, until the connection is over. */
function conclude(model: Model): void {
  for (const event of ["start", "terminate", "prepared", "ended", "tunnelsEnded"] as const) {
    if (model.isTimely(event)) model.take(event);
  }
  if (model.state === "creating" || model.state === "cancelled") model.take("shortage");
  if (model.state === "delayed") model.take("terminate");
  for (const event of ["ended", "tunnelsEnded"] as const) {
    if (model.isTimely(event)) model.take(event);
  }
}

/** One event: of those that the world may bring about now, or of all. */
interface Choice {
  readonly number: number;
  readonly isTimely: boolean;
}

function choices(timely: number, untimely: number): fc.Arbitrary<Choice[]> {
  const isTimely = fc.oneof(
    { weight: timely, arbitrary: fc.constant(true) },
    { weight: untimely, arbitrary: fc.constant(false) },
  );
  return fc.array(fc.record({ number: fc.nat(10_000), isTimely }), { maxLength: 30 });
}

/** Events that lead on; each counts several times, lest most lives be short. */
const LEADING: readonly Event[] = ["start", "prepared", "shortage", "created", "retryDue"];
const EVENTS_WEIGHED: readonly Event[] = [...EVENTS, ...LEADING, ...LEADING, ...LEADING];

function eventOf({ number, isTimely }: Choice, model: Model): Event {
  const possible = isTimely ? EVENTS_WEIGHED.filter((event) => model.isTimely(event)) : EVENTS;
  return possible[number % possible.length] ?? "signal";
}

/** Does the event answer a question that was not put, as if another had been? */
function isUnanswerable(event: Event, model: Model): boolean {
  return !model.isTimely(event) && actionFor(model.state, event) !== undefined;
}

/** All that can happen to a connection, from each condition that it can connect into. */
function explore(): { cells: Set<string>; timely: Set<string>; unanswerable: Set<string> } {
  const found = {
    cells: new Set<string>(),
    timely: new Set<string>(),
    unanswerable: new Set<string>(),
  };
  const known = new Set<string>();
  const open = [new Model()];
  for (let model = open.pop(); model !== undefined; model = open.pop()) {
    for (const event of EVENTS) {
      const cell = `${model.state} ${event}`;
      found.cells.add(cell);
      if (model.isTimely(event)) found.timely.add(cell);
      if (isUnanswerable(event, model)) {
        found.unanswerable.add(cell);
        continue;
      }
      const next = model.clone();
      next.take(event);
      const key = JSON.stringify(next);
      if (!known.has(key)) open.push(next);
      known.add(key);
    }
  }
  return found;
}

function cellsOf(wants: (state: State, event: Event) => boolean): string[] {
  return STATES.flatMap((state) =>
    EVENTS.filter((event) => wants(state, event)).map((event) => `${state} ${event}`),
  );
}

describe("the life of a connection", () => {
  test("the life of a connection reaches each of its states, and meets each event in each of them", () => {
    const { cells, unanswerable } = explore();
    expect(cellsOf(() => true).filter((cell) => !cells.has(cell))).toEqual([]);
    // The answer to a question that was not put, where another one was: beyond any table.
    expect([...unanswerable].sort()).toEqual([
      "cancelled created",
      "cancelled ended",
      "cancelled prepared",
      "cancelled refused",
      "cancelled shortage",
    ]);
  });

  test("the life of a connection decides nothing for an event that cannot happen", () => {
    const { timely } = explore();
    const decided = cellsOf((state, event) => actionFor(state, event) !== undefined);
    expect(decided.filter((cell) => !timely.has(cell))).toEqual([]);
  });

  test("the life of a connection releases everything once, whatever happens in whichever order", () => {
    fc.assert(
      fc.property(choices(1, 0), (sequence) => {
        const model = new Model();
        for (const choice of sequence) model.take(eventOf(choice, model));
        conclude(model);
        expect(model.state).toBe("over");
        expect(model.isAwaitingTunnels).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  test("the life of a connection is not changed by events that should not happen in its state", () => {
    fc.assert(
      fc.property(choices(2, 1), (sequence) => {
        const model = new Model();
        for (const choice of sequence) {
          const event = eventOf(choice, model);
          if (!isUnanswerable(event, model)) model.take(event);
        }
        conclude(model);
        expect(model.state).toBe("over");
      }),
      { numRuns: 2000 },
    );
  });

  test("the life of a connection has effects without a change of state for signals alone", () => {
    expect(cellsOf((state, event) => actionFor(state, event)?.next === state)).toEqual([
      "spawning terminate",
      "spawning signal",
      "running terminate",
      "running signal",
      "ending terminate",
    ]);
  });

  test("the life of a connection has no effects once it is over", () => {
    expect(
      cellsOf((state, event) => state === "over" && actionFor(state, event) !== undefined),
    ).toEqual([]);
  });
});
