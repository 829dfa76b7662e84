/** The queue of handshakes: its bounds, its order, and that nobody is left out. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  HandshakeQueue,
  PATIENCE_MS,
  WAITING_PER_PLACE,
} from "../../../src/tls/handshake/handshake-queue.ts";
import type { Place } from "../../../src/tls/handshake/handshake-queue.ts";

interface Numbered extends Place {
  readonly number: number;
}

/** A queue, the time, and all that has happened in it. */
class History {
  readonly limits: Place["limits"];
  readonly queue = new HandshakeQueue<Numbered>();
  nowMs = 0;
  /** Those in progress, with the time since when each is idle; undefined while it wants a turn. */
  readonly inProgress = new Map<Numbered, number | undefined>();
  readonly waiting = new Set<Numbered>();
  readonly refused: Numbered[] = [];
  readonly begun: Numbered[] = [];
  #count = 0;

  constructor(limits: Place["limits"]) {
    this.limits = limits;
  }

  enter(source: string): Numbered {
    const place = { source, limits: this.limits, number: (this.#count += 1) };
    this.waiting.add(place);
    const refused = this.queue.enter(place);
    if (refused !== undefined) {
      expect(this.waiting.delete(refused), "only those that wait are refused").toBe(true);
      this.refused.push(refused);
    }
    return place;
  }

  /** All that can begin do. */
  begin(): void {
    for (
      let next = this.queue.begin(this.nowMs);
      next.kind === "begin";
      next = this.queue.begin(this.nowMs)
    ) {
      if (next.givenUp !== undefined) this.#giveUp(next.givenUp, next.place);
      expect(this.waiting.delete(next.place), "it begins once, and after it has entered").toBe(
        true,
      );
      this.inProgress.set(next.place, this.nowMs);
      this.begun.push(next.place);
      this.checkBounds();
    }
  }

  ready(place: Numbered): void {
    this.queue.ready(place);
    if (this.inProgress.has(place)) this.inProgress.set(place, undefined);
  }

  turn(): Numbered | undefined {
    const place = this.queue.turn(this.nowMs);
    if (place === undefined) return undefined;
    expect(this.inProgress.has(place), "only those in progress take turns").toBe(true);
    expect(this.inProgress.get(place), "only those that want a turn take one").toBeUndefined();
    this.inProgress.set(place, this.nowMs);
    return place;
  }

  leave(place: Numbered): void {
    this.queue.leave(place);
    this.inProgress.delete(place);
    this.waiting.delete(place);
  }

  checkBounds(): void {
    const { perSource, inAll } = this.limits;
    expect(this.queue.inProgress).toBe(this.inProgress.size);
    expect(this.queue.waiting).toBe(this.waiting.size);
    expect(this.inProgress.size).toBeLessThanOrEqual(inAll);
    expect(this.waiting.size).toBeLessThanOrEqual(inAll * WAITING_PER_PLACE);
    for (const source of sourcesOf(this.inProgress.keys())) {
      expect(this.placesOf(source)).toBeLessThanOrEqual(perSource);
    }
  }

  placesOf(source: string): number {
    return [...this.inProgress.keys()].filter((place) => place.source === source).length;
  }

  #giveUp(place: Numbered, newcomer: Numbered): void {
    const sinceMs = this.inProgress.get(place);
    expect(sinceMs, "only an idle one is given up").toBeDefined();
    const hasMore = this.placesOf(place.source) > this.placesOf(newcomer.source) + 1;
    const isOld = this.nowMs - (sinceMs ?? Infinity) >= PATIENCE_MS;
    expect(hasMore || isOld, "it has more places than the newcomer, or was silent").toBe(true);
    this.inProgress.delete(place);
  }
}

function sourcesOf(places: Iterable<Numbered>): ReadonlySet<string> {
  return new Set(Array.from(places, ({ source }) => source));
}

type Step = readonly [kind: "enter" | "ready" | "turn" | "leave" | "wait", which: number];

const limits = fc.record({
  perSource: fc.integer({ min: 1, max: 4 }),
  inAll: fc.integer({ min: 1, max: 6 }),
});
const steps = fc.array(
  fc.tuple(fc.constantFrom("enter", "enter", "enter", "ready", "turn", "leave", "wait"), fc.nat()),
  { maxLength: 150 },
) as fc.Arbitrary<Step[]>;

/** Let all of this happen, with 5 sources; of what has begun, `which` takes the step. */
function happened(bounds: Place["limits"], all: readonly Step[]): History {
  const history = new History(bounds);
  for (const [kind, which] of all) {
    const known = [...history.inProgress.keys(), ...history.waiting];
    const place = known[which % Math.max(known.length, 1)];
    if (kind === "enter") history.enter(String(which % 5));
    else if (kind === "turn") history.turn();
    else if (kind === "wait") history.nowMs += which % (2 * PATIENCE_MS);
    else if (place !== undefined) history[kind](place);
    history.begin();
    history.checkBounds();
  }
  return history;
}

describe("the queue of handshakes", () => {
  test("the queue of handshakes keeps its bounds, whatever happens in it", () => {
    fc.assert(fc.property(limits, steps, (bounds, all) => void happened(bounds, all)));
  });

  test("the handshakes of a source begin in the order in which they came", () => {
    fc.assert(
      fc.property(limits, steps, (bounds, all) => {
        const { begun } = happened(bounds, all);
        for (const source of sourcesOf(begun)) {
          const numbers = begun.filter((it) => it.source === source).map(({ number }) => number);
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  test("a handshake that wants a turn has it after one of each other source at most for each before it", () => {
    fc.assert(
      fc.property(limits, steps, fc.nat(), (bounds, all, which) => {
        const history = happened(bounds, all);
        const known = [...history.inProgress.keys()];
        const place = known[which % Math.max(known.length, 1)];
        if (place === undefined) return;
        for (const other of known) if (other !== place) history.ready(other);
        history.ready(place);
        const wanting = [...history.inProgress].filter(([, since]) => since === undefined);
        const own = wanting.filter(([{ source }]) => source === place.source).length;
        const most = own * sourcesOf(wanting.map(([it]) => it)).size;
        const turns = Array.from({ length: most }, () => history.turn());
        expect(turns).toContain(place);
      }),
    );
  });

  test("while a handshake wants a turn there is one to take", () => {
    fc.assert(
      fc.property(limits, steps, (bounds, all) => {
        const history = happened(bounds, all);
        const wanting = [...history.inProgress.values()].filter((since) => since === undefined);
        for (const _ of wanting) expect(history.turn()).toBeDefined();
        expect(history.turn()).toBeUndefined();
      }),
    );
  });

  test("no handshake waits while there is a place for it, and a silent peer keeps none for longer than the patience", () => {
    fc.assert(
      fc.property(limits, steps, (bounds, all) => {
        const history = happened(bounds, all);
        while (history.turn() !== undefined); // so that all in progress are idle
        const waiting = [...history.waiting];
        const next = history.queue.begin(history.nowMs);
        if (waiting.length > 0) expect(next.kind).not.toBe("none");
        if (next.kind === "wait") expect(next.untilMs).toBeGreaterThan(history.nowMs);
        const begunBefore = history.begun.length;
        history.nowMs += PATIENCE_MS;
        history.begin();
        const places = Math.min(waiting.length, 1);
        expect(history.begun.length - begunBefore).toBeGreaterThanOrEqual(places);
      }),
    );
  });

  test("a source that has no handshake gets a place at once, however many another source has", () => {
    const perSource = fc.integer({ min: 2, max: 8 });
    fc.assert(
      fc.property(perSource, fc.nat({ max: 100 }), (inAll, flood) => {
        const history = new History({ perSource: inAll, inAll });
        for (let count = 0; count < inAll + flood; count += 1) {
          history.enter("flood");
          history.begin();
        }
        const honest = history.enter("honest");
        history.begin();
        expect(history.begun.at(-1)).toBe(honest);
        history.checkBounds();
      }),
    );
  });

  test("of too many that wait the source with the most of them loses the last, so others are not refused", () => {
    const history = new History({ perSource: 1, inAll: 1 });
    history.enter("flood");
    history.begin();
    history.ready([...history.inProgress.keys()][0] as Numbered); // and so cannot be given up
    for (let count = 0; count < 2 * WAITING_PER_PLACE; count += 1) history.enter("flood");
    expect(history.refused.map(({ number }) => number)).toEqual([6, 7, 8, 9]);
    const honest = history.enter("honest");
    expect(history.refused.at(-1)).toMatchObject({ source: "flood", number: 5 });
    expect(history.waiting.has(honest)).toBe(true);
  });

  test("two sources that want all places do not take them from each other before their peers are silent for long", () => {
    const history = new History({ perSource: 5, inAll: 5 });
    for (let count = 0; count < 20; count += 1) {
      history.enter("one");
      history.enter("other");
      history.begin();
    }
    const firstBegun = history.begun.length;
    history.begin();
    expect(history.begun.length).toBe(firstBegun);
    expect(Math.abs(history.placesOf("one") - history.placesOf("other"))).toBe(1);
    history.nowMs += PATIENCE_MS - 1;
    history.begin();
    expect(history.begun.length).toBe(firstBegun);
    history.nowMs += 1;
    history.begin();
    expect(history.begun.length).toBe(firstBegun + 5);
  });

  test("a handshake that has left takes no place and no turn any more", () => {
    const history = new History({ perSource: 1, inAll: 1 });
    const first = history.enter("one");
    history.begin();
    history.ready(first);
    history.leave(first);
    history.ready(first);
    history.leave(first);
    expect(history.turn()).toBeUndefined();
    const second = history.enter("one");
    history.begin();
    expect(history.begun).toEqual([first, second]);
  });
});
