/** The offer of TLS to a program: its steps, whatever happens in whatever order. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Fd } from "../../../src/posix/index.ts";
import type { TlsSide } from "../../../src/tls/handshake/handshake.ts";
import { offerStep } from "../../../src/tls/tunnel/offer.ts";
import type { OfferEffect, OfferEvent, OfferState } from "../../../src/tls/tunnel/offer.ts";

const SIDE: TlsSide = { role: "server", open: () => undefined };
const LOCAL = { read: 4 as Fd, write: 5 as Fd };
const REFUSED = { exitCode: 96, message: "there is no trust" };

const events: fc.Arbitrary<OfferEvent> = fc.oneof(
  fc.record({
    kind: fc.constant("command" as const),
    command: fc.oneof(fc.constantFrom(0x79, 0x59, "end" as const), fc.nat({ max: 255 })),
    nowMs: fc.nat(),
  }),
  fc.constantFrom<OfferEvent>(
    { kind: "permitted", side: SIDE },
    { kind: "attached", local: LOCAL },
    { kind: "expired" },
    { kind: "aborted", end: undefined },
    { kind: "aborted", end: REFUSED },
    { kind: "tunnelEnded", end: REFUSED },
  ),
);

/** The states after each of these events, and all effects. */
function live(happened: readonly OfferEvent[], tellsTimeout = true) {
  let state: OfferState = { name: "offered" };
  const states: string[] = [];
  const effects: OfferEffect[] = [];
  for (const event of happened) {
    const step = offerStep(state, event, { tellsTimeout });
    state = step.state;
    states.push(state.name);
    effects.push(...step.effects);
  }
  return { state, states, effects };
}

function asks(byte: number): OfferEvent {
  return { kind: "command", command: byte, nowMs: 1000 };
}

describe("an offer of TLS", () => {
  test.each([
    ["y", 0x79, false],
    ["Y", 0x59, true],
  ])(
    "an offer that is accepted with %s has no tunnel before it is permitted, and the time of the request counts",
    (_, byte, isToTell) => {
      const { states, effects } = live([asks(byte), { kind: "permitted", side: SIDE }]);
      expect(states).toEqual(["asked", "tunneled"]);
      expect(effects).toEqual([
        { do: "limit" },
        { do: "tellDecision", accepts: true },
        { do: "openTunnel", side: SIDE, isToTell, sinceMs: 1000 },
      ]);
    },
  );

  test("an offer is over when it is refused after the request, or its time has passed", () => {
    const { effects } = live([asks(0x79), { kind: "aborted", end: REFUSED }]);
    expect(effects.slice(2)).toEqual([{ do: "close" }, { do: "tellEnd", end: REFUSED }]);
    for (const [tellsTimeout, message] of [
      [true, "handshake timed out"],
      [false, undefined],
    ] as const) {
      const late = live([asks(0x59), { kind: "expired" }], tellsTimeout);
      expect(late.effects.at(-1)).toEqual({ do: "tellEnd", end: { exitCode: 98, message } });
    }
  });

  test("an offer without a request is never permitted, and a closed control socket declines it", () => {
    expect(live([{ kind: "permitted", side: SIDE }]).states).toEqual(["offered"]);
    const { states, effects } = live([{ kind: "command", command: "end", nowMs: 0 }]);
    expect(states).toEqual(["over"]);
    expect(effects.map((effect) => effect.do)).toEqual(["tellDecision", "close", "tellEnd"]);
  });

  test("an offer ends at most once, and either closes its descriptors or gives them to one tunnel", () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 12 }), (happened) => {
        const { state, effects } = live(happened);
        const count = (kind: OfferEffect["do"]): number =>
          effects.filter((effect) => effect.do === kind).length;
        const [closes, opens] = [count("close"), count("openTunnel")];
        expect(closes + opens).toBe(state.name === "offered" || state.name === "asked" ? 0 : 1);
        expect(count("tellEnd")).toBe(state.name === "over" ? 1 : 0);
        expect(count("relay")).toBe(0); // for its program was promised
        const attached = happened.filter(({ kind }) => kind === "attached").length;
        expect(count("reject")).toBe(attached);
      }),
    );
  });
});
